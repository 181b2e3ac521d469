/* layer 0: a file descriptor that says yes or no: for poll(2) and its kin, readable or not. */
#ifndef MPP_EVENT_H
#define MPP_EVENT_H

#include "base.h"

struct mpp_event {
	int fd;                  /* what is polled; -1: not open */
	int other;               /* a pipe's end to write to; -1 where there are eventfds */
	bool raised;
};

#define MPP_EVENT_INIT {-1, -1, false}

/* Opens it, lowered, non-blocking and closed by exec. 0 or an errno value, with nothing changed. */
int mpp_event_open(struct mpp_event *event);
void mpp_event_close(struct mpp_event *event);

/* Makes it readable, or unreadable; nothing where it is so already, or not open. It never blocks and is no
 * cancellation point, so it may be done under a lock: who holds that one sees the descriptor as `raised` says. */
void mpp_event_set(struct mpp_event *event, bool raised);

/* It is raised, and there is something new: who was told of the last raising alone, as an edge-triggered epoll(7) does, is
 * told again. As mpp_event_set() otherwise. */
void mpp_event_renew(struct mpp_event *event);

/* A descriptor just opened, as another one if it is 0, 1 or 2: a program may be started without those, and still writes its
 * messages there. -1 with errno set: none is left, and the one given is closed. -1 stays -1. No cancellation point. */
int mpp_descriptor_apart(int fd);

static inline bool mpp_event_is_open(const struct mpp_event *event)
{
	return event->fd >= 0;
}

#endif
