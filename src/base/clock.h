/*
 * clock - the only place that reads a clock
 *
 * Timers, deadlines and cooldowns use the monotonic clock; `created` and log lines the wall
 * clock. Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Monotonic time in ms and µs since some fixed moment. */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);

/* Wall clock in ms since 1970-01-01 UTC. */
int64_t clock_wall_ms(void);

#define CLOCK_ISO_BYTES 25

/* Writes `wall_ms` as "2026-01-02T03:04:05.678Z" with a final zero byte into `out`. */
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_BYTES]);

#endif
