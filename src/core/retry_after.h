/*
 * retry_after - how long an upstream asks us to wait
 *
 * Pure; time is an argument.
 */
#ifndef CORE_RETRY_AFTER_H
#define CORE_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/*
 * The seconds that a Retry-After header asks for (RFC 9110 section 10.2.3): a number, or a date in
 * any of the three forms. 0 when it is missing, not sound, or not between 1 and 3600.
 */
uint32_t retry_after_parse(str value, int64_t now_s);

/* Parses an HTTP-date (RFC 9110 section 5.6.7); `now_s` resolves a two-digit year. */
MUST_CHECK bool http_date_parse(str value, int64_t now_s, int64_t *ret_s);

#endif
