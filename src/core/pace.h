/*
 * pace - whether a worker lets a moment pass before it looks for more
 *
 * With many streams open, lines come one by one, a fraction of a millisecond apart. A worker that
 * sleeps and is woken for each pays more for that than for the line. So once lines are frequent
 * enough for a pause to bring some, it pauses after a turn that brought few of them and nothing
 * else, and then handles what came together: what network cards do with interrupts. Whatever is no
 * single further line of a stream, a new connection, a request, a first token, an end, is never a
 * reason to pause. What comes during a pause is later for it, by PACE_LONGEST_US at most.
 *
 * Threads: none.
 * Time:    the caller passes now_ms.
 */
#ifndef CORE_PACE_H
#define CORE_PACE_H

#include <stdint.h>

#define PACE_LINES_PER_MS 5 // from this rate on there are pauses
#define PACE_LINES_WANTED 8 // a pause is as long as so many need to come, within the next two
#define PACE_SHORTEST_US  300
#define PACE_LONGEST_US   1000
#define PACE_MANY_LINES   16 // after a turn with as many there is none

/* Zeroed, it has seen nothing. */
struct pace {
    uint64_t tick_ms;
    uint32_t tick_lines; // in the millisecond `tick_ms`
    uint32_t rate;       // lines in eight milliseconds, as the last of them were
    uint32_t turn_lines;
    uint32_t turn_events;
};

/* Something came from outside. */
static inline void pace_event(struct pace *p)
{
    p->turn_events++;
}

/* What came was one further line of a stream that the caller reads already. */
static inline void pace_line(struct pace *p)
{
    p->turn_lines++;
}

/* The turn is over: returns how long to pause, in microseconds; 0: not at all. */
uint32_t pace_end_turn(struct pace *p, uint64_t now_ms);

#endif
