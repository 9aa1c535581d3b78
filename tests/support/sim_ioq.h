/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sim_ioq.h - an I/O queue without threads: operations happen and are told in any order
 *
 * Use     link with --wrap for the calls below and include this in one file, after crash_fs.h,
 *         whose random numbers decide what happens when: a seed gives the same run everywhere.
 * Shape   between its submission and its completion an operation happens at a random moment.
 *         Those of the kinds in sim.held do not happen until they are let go.
 * Checks  always: no two writes of one place, no two flushes and no two syncs of one descriptor
 *         are under way at one time.
 */
#ifndef SIM_IOQ_H
#define SIM_IOQ_H

#include "device.h"
#include "ioq.h"

#define SIM_DEPTH 128

enum sim_kind { SIM_WRITE = 1, SIM_ZERO = 2, SIM_FLUSH = 4, SIM_REREAD = 8, SIM_SYNC = 16 };

struct sim_op {
	struct ioq_op op;
	enum sim_kind kind;
	bool used, happened;
	ssize_t res;
};

static struct {
	struct sim_op op[SIM_DEPTH];
	unsigned depth, n;
	unsigned held;      /* kinds */
	unsigned begun[32]; /* by kind, since sim_reset() */
	unsigned most_writes;
} sim;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): ld --wrap names them so */
int __wrap_ioq_new(enum ioq_backend b, unsigned depth, struct ioq **ret, struct err *e);
void __wrap_ioq_free(struct ioq *q);
enum ioq_backend __wrap_ioq_backend(const struct ioq *q);
void __wrap_ioq_limit_threads(struct ioq *q, unsigned n);
unsigned __wrap_ioq_room(const struct ioq *q);
unsigned __wrap_ioq_in_flight(const struct ioq *q);
int __wrap_ioq_submit(struct ioq *q, const struct ioq_op *op);
bool __wrap_ioq_reap(struct ioq *q, struct ioq_done *ret);
bool __wrap_ioq_wait(struct ioq *q, struct ioq_done *ret);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static inline void sim_reset(void)
{
	memset(&sim, 0, sizeof sim);
}

static inline const struct device_io *sim_io(const struct sim_op *o)
{
	return o->op.arg; /* also the first member of what rereads */
}

static inline enum sim_kind sim_kind_of(const struct ioq_op *op)
{
	const struct device_io *io = op->arg;

	if (op->kind == IOQ_DATASYNC)
		return SIM_SYNC;
	assert_int_equal(op->kind, IOQ_CALL);
	return io->call == DEVICE_WRITE   ? SIM_WRITE
	       : io->call == DEVICE_ZERO  ? SIM_ZERO
	       : io->call == DEVICE_FLUSH ? SIM_FLUSH
					  : SIM_REREAD;
}

static inline void sim_check(const struct sim_op *a)
{
	unsigned writes = 0;

	for (size_t i = 0; i < SIM_DEPTH; i++) {
		const struct sim_op *b = sim.op + i;
		bool both =
		    (a->kind & (SIM_WRITE | SIM_ZERO)) && (b->kind & (SIM_WRITE | SIM_ZERO));

		if (!b->used)
			continue;
		writes += !!(b->kind & (SIM_WRITE | SIM_ZERO));
		if (a == b)
			continue;
		if (both && sim_io(a)->off < sim_io(b)->off + sim_io(b)->len &&
		    sim_io(b)->off < sim_io(a)->off + sim_io(a)->len)
			fail_msg("two writes of byte %llu are under way",
				 (unsigned long long)sim_io(a)->off);
		if (a->kind == b->kind && (a->kind & (SIM_FLUSH | SIM_SYNC)))
			fail_msg("two %s are under way",
				 a->kind == SIM_FLUSH ? "flushes" : "syncs of the journal");
	}
	if (writes > sim.most_writes)
		sim.most_writes = writes;
}

static inline void sim_happen(struct sim_op *o)
{
	o->happened = true;
	if (o->kind == SIM_SYNC)
		o->res = fdatasync(o->op.fd) < 0 ? -errno : 0;
	else
		o->res = o->op.call(o->op.arg);
}

static inline struct sim_op *sim_random(bool happened)
{
	size_t from = crash_random() % SIM_DEPTH;

	for (size_t i = 0; i < SIM_DEPTH; i++) {
		struct sim_op *o = sim.op + (from + i) % SIM_DEPTH;

		if (o->used && o->happened == happened && (happened || !(o->kind & sim.held)))
			return o;
	}
	return NULL;
}

static inline void sim_some_happen(void)
{
	while (crash_random() % 2) {
		struct sim_op *o = sim_random(false);

		if (!o)
			return;
		sim_happen(o);
	}
}

int __wrap_ioq_new(enum ioq_backend b, unsigned depth, struct ioq **ret, struct err *e)
{
	(void)b;
	(void)e;
	assert_true(depth <= SIM_DEPTH && !sim.n);
	sim.depth = depth;
	*ret = (struct ioq *)&sim;
	return 0;
}

/* What had not happened yet may still, or not. */
void __wrap_ioq_free(struct ioq *q)
{
	if (q)
		sim_some_happen();
	for (size_t i = 0; i < SIM_DEPTH; i++)
		sim.op[i].used = false;
	sim.n = 0;
}

enum ioq_backend __wrap_ioq_backend(const struct ioq *q)
{
	(void)q;
	return IOQ_THREADS;
}

void __wrap_ioq_limit_threads(struct ioq *q, unsigned n)
{
	(void)q;
	assert_true(n >= 1 && n <= IOQ_THREADS_MAX);
}

unsigned __wrap_ioq_room(const struct ioq *q)
{
	(void)q;
	return sim.depth - sim.n;
}

unsigned __wrap_ioq_in_flight(const struct ioq *q)
{
	(void)q;
	return sim.n;
}

int __wrap_ioq_submit(struct ioq *q, const struct ioq_op *op)
{
	struct sim_op *o = sim.op;

	(void)q;
	if (sim.n == sim.depth)
		return -EAGAIN;
	while (o->used)
		o++;
	*o = (struct sim_op){ .op = *op, .kind = sim_kind_of(op), .used = true };
	sim.n++;
	sim.begun[o->kind]++;
	sim_check(o);
	sim_some_happen();
	return 0;
}

static inline bool sim_tell(struct sim_op *o, struct ioq_done *ret)
{
	if (!o)
		return false;
	*ret = (struct ioq_done){ .tag = o->op.tag, .res = o->res };
	o->used = false;
	sim.n--;
	return true;
}

bool __wrap_ioq_reap(struct ioq *q, struct ioq_done *ret)
{
	(void)q;
	sim_some_happen();
	return crash_random() % 4 && sim_tell(sim_random(true), ret);
}

bool __wrap_ioq_wait(struct ioq *q, struct ioq_done *ret)
{
	struct sim_op *o;

	(void)q;
	if (!sim.n)
		return false;
	sim_some_happen();
	if (!(o = sim_random(true)) && (o = sim_random(false)))
		sim_happen(o);
	if (!o)
		fail_msg("waits for what is held for ever");
	return sim_tell(o, ret);
}

#endif
