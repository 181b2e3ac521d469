/* layer 0: a list that any of its members can leave at once. Whoever has the list has a lock for it. */
#ifndef MPP_LIST_H
#define MPP_LIST_H

#include "base.h"

struct mpp_link {                /* in each member */
	struct mpp_link *prev, *next;
};

struct mpp_list {                /* zeroed: empty */
	struct mpp_link *first, *last;
};

/* What has that link; NULL for NULL, behind either end. */
#define mpp_entry(link, type, member) ((type *)mpp_entry_at(link, offsetof(type, member)))

static inline void *mpp_entry_at(struct mpp_link *link, size_t offset)
{
	return link ? (char *)link - offset : NULL;
}

static inline void mpp_list_prepend(struct mpp_list *list, struct mpp_link *link)
{
	link->prev = NULL;
	link->next = list->first;
	*(list->first ? &list->first->prev : &list->last) = link;
	list->first = link;
}

static inline void mpp_list_append(struct mpp_list *list, struct mpp_link *link)
{
	link->prev = list->last;
	link->next = NULL;
	*(list->last ? &list->last->next : &list->first) = link;
	list->last = link;
}

static inline void mpp_list_remove(struct mpp_list *list, struct mpp_link *link)
{
	*(link->prev ? &link->prev->next : &list->first) = link->next;
	*(link->next ? &link->next->prev : &list->last) = link->prev;
}

#endif
