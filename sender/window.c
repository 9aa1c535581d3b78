/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "window.h"

#include <string.h>

void window_init(struct window *w)
{
	memset(w, 0, sizeof *w);
	(void)pthread_mutex_init(&w->lock, NULL);
	w->crowd = 1;
}

static void wake_all(struct window *w, unsigned own_slot)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		if (w->links[i] && i != own_slot)
			link_wake(w->links[i]);
	}
}

static void wake_others(struct window *w, unsigned own_slot)
{
	if (w->waiting)
		wake_all(w, own_slot);
}

void window_share(struct window *w, unsigned crowd)
{
	(void)pthread_mutex_lock(&w->lock);
	bool more = crowd < w->crowd;
	w->crowd = crowd;
	if (more)
		wake_others(w, CONNECTIONS_MAX);
	(void)pthread_mutex_unlock(&w->lock);
}

/* One block always fits a share: twenty disks have more than three of the largest each. */
bool window_take(struct window *w, unsigned d, uint64_t cost)
{
	(void)pthread_mutex_lock(&w->lock);
	bool room =
	    w->in_flight + cost <= WINDOW_BYTES && w->held[d] + cost <= WINDOW_BYTES / w->crowd;
	if (room) {
		w->in_flight += cost;
		w->held[d] += cost;
		w->unasked[d] += cost;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return room;
}

void window_give(struct window *w, unsigned d, uint64_t cost, unsigned own_slot)
{
	(void)pthread_mutex_lock(&w->lock);
	w->in_flight -= cost;
	w->held[d] -= cost;
	wake_others(w, own_slot);
	(void)pthread_mutex_unlock(&w->lock);
}

bool window_wants_flush(struct window *w, unsigned d)
{
	(void)pthread_mutex_lock(&w->lock);
	bool wants = w->crowd > 1 && w->unasked[d] >= WINDOW_BYTES / w->crowd / 2;
	if (wants)
		w->unasked[d] = 0;
	(void)pthread_mutex_unlock(&w->lock);
	return wants;
}

void window_wake(struct window *w, unsigned own_slot)
{
	(void)pthread_mutex_lock(&w->lock);
	wake_all(w, own_slot);
	(void)pthread_mutex_unlock(&w->lock);
}

void window_list(struct window *w, unsigned slot, struct link *l)
{
	(void)pthread_mutex_lock(&w->lock);
	w->links[slot] = l;
	(void)pthread_mutex_unlock(&w->lock);
}

void window_wait(struct window *w, bool begin)
{
	(void)pthread_mutex_lock(&w->lock);
	if (begin)
		w->waiting++;
	else
		w->waiting--;
	(void)pthread_mutex_unlock(&w->lock);
}
