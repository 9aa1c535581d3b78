/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ioq_uring.c - operations done by the kernel's io_uring
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "ioq_internal.h"

struct ioq_ring {
	struct io_uring ring;
	unsigned in_kernel;
};

/* A kernel of the first years has a ring and not these operations. */
static bool has_operations(struct io_uring *ring)
{
	struct io_uring_probe *p = io_uring_get_probe_ring(ring);
	bool has = p && io_uring_opcode_supported(p, IORING_OP_READ) &&
		   io_uring_opcode_supported(p, IORING_OP_WRITE) &&
		   io_uring_opcode_supported(p, IORING_OP_FSYNC);

	io_uring_free_probe(p);
	return has;
}

int ioq_ring_new(unsigned depth, int event, struct ioq_ring **ret, struct err *e)
{
	struct ioq_ring *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return err_set(e, ERR_SYS, ENOMEM, "io_uring");
	rc = io_uring_queue_init(depth, &r->ring, 0);
	if (rc < 0) {
		free(r);
		return err_set(e, ERR_SYS, -rc, "io_uring is not to be had");
	}
	if (!has_operations(&r->ring))
		rc = -EOPNOTSUPP;
	else
		rc = io_uring_register_eventfd(&r->ring, event);
	if (rc < 0) {
		io_uring_queue_exit(&r->ring);
		free(r);
		return err_set(e, ERR_SYS, -rc, "io_uring of this kernel cannot do what is needed");
	}
	*ret = r;
	return 0;
}

void ioq_ring_free(struct ioq_ring *r)
{
	struct io_uring_cqe *cqe;

	if (!r)
		return;
	/* The kernel must be done with the callers' buffers before they go. */
	while (r->in_kernel) {
		int rc = io_uring_wait_cqe(&r->ring, &cqe);

		if (rc == -EINTR || rc == -EAGAIN)
			continue;
		if (rc < 0)
			break;
		r->in_kernel -= io_uring_cqe_get_data(cqe) != NULL;
		io_uring_cqe_seen(&r->ring, cqe);
	}
	io_uring_queue_exit(&r->ring);
	free(r);
}

static void prepare(struct io_uring_sqe *sqe, const struct ioq_slot *s)
{
	const struct ioq_op *op = &s->op;
	size_t left = op->len - s->done;
	unsigned n = left < GIB ? (unsigned)left : (unsigned)GIB;

	if (op->kind == IOQ_DATASYNC)
		io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
	else if (op->kind == IOQ_READ)
		io_uring_prep_read(sqe, op->fd, (uint8_t *)op->to + s->done, n, op->off + s->done);
	else
		io_uring_prep_write(sqe, op->fd, (const uint8_t *)op->from + s->done, n,
				    op->off + s->done);
}

bool ioq_ring_submit(struct ioq_ring *r, struct ioq_slot *s)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);
	int rc;

	if (!sqe)
		return false;
	prepare(sqe, s);
	io_uring_sqe_set_data(sqe, s);
	do
		rc = io_uring_submit(&r->ring);
	while (rc == -EINTR);
	if (rc < 0) {
		/* It stays in the ring and would be taken with the next one: make it nothing. */
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data(sqe, NULL);
		return false;
	}
	r->in_kernel++;
	return true;
}

struct ioq_slot *ioq_ring_reap(struct ioq_ring *r, struct ioq_slot **ret_left)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&r->ring, &cqe)) {
		struct ioq_slot *s = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&r->ring, cqe);
		if (!s)
			continue;
		r->in_kernel--;
		/* A descriptor that does not like to wait says EAGAIN here: a thread will wait. */
		if (res == -EAGAIN || res == -EINTR) {
			*ret_left = s;
			return NULL;
		}
		if (s->op.kind == IOQ_DATASYNC)
			s->res = res;
		if (s->op.kind == IOQ_DATASYNC || ioq_slot_moved(s, res))
			return s;
		if (!ioq_ring_submit(r, s)) {
			*ret_left = s;
			return NULL;
		}
	}
	return NULL;
}
