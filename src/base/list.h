/*
 * list - intrusive doubly linked list with a sentinel
 *
 * A struct list is both the head and the link inside a member. A link that is in no list points
 * to itself (after list_init or list_remove), so removing it again is harmless.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Adds `link`, which is in no list, behind the last member. */
static inline void list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Adds `link`, which is in no list, before the first member. */
static inline void list_prepend(struct list *head, struct list *link)
{
    list_append(head->next, link);
}

#define list_entry(link, type, member) CONTAINER_OF(link, type, member)

#endif
