#include "core/pace.h"

#include <stdbool.h>

#define RATE_SPAN_MS 8  // what is averaged, and the unit of the average
#define FORGOTTEN_MS 64 // the average of so many empty milliseconds is nothing

static void tick(struct pace *p, uint64_t now_ms)
{
    uint64_t passed = now_ms - p->tick_ms;
    if (passed >= FORGOTTEN_MS) {
        p->rate = 0;
        p->tick_lines = 0;
        passed = 0;
    }
    for (; passed > 0; passed--) {
        p->rate += p->tick_lines - p->rate / RATE_SPAN_MS;
        p->tick_lines = 0;
    }
    p->tick_ms = now_ms;
}

/* How long PACE_LINES_WANTED need at this rate. */
static uint32_t pause_us(uint32_t rate)
{
    uint32_t us = PACE_LINES_WANTED * RATE_SPAN_MS * 1000 / rate;
    if (us < PACE_SHORTEST_US)
        return PACE_SHORTEST_US;
    return us < PACE_LONGEST_US ? us : PACE_LONGEST_US;
}

uint32_t pace_end_turn(struct pace *p, uint64_t now_ms)
{
    if (now_ms != p->tick_ms)
        tick(p, now_ms);
    bool lines_only = p->turn_lines > 0 && p->turn_lines == p->turn_events;
    bool few = p->turn_lines < PACE_MANY_LINES;
    p->tick_lines += p->turn_lines;
    p->turn_lines = p->turn_events = 0;
    bool frequent = p->rate >= PACE_LINES_PER_MS * RATE_SPAN_MS;
    return lines_only && few && frequent ? pause_us(p->rate) : 0;
}
