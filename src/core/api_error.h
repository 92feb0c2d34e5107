/*
 * api_error - the error that a caller gets
 *
 * `type` follows from the status alone. Pure.
 */
#ifndef CORE_API_ERROR_H
#define CORE_API_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct api_error {
    int status;
    const char *type;
    const char *code; // NULL: null
    str param;        // empty: null
    str message;
    bool no_retry;          // x-should-retry: false
    uint32_t retry_after_s; // Retry-After; 0: none
};

/* An error with what follows from `status`; borrows `message`. */
struct api_error api_error_make(int status, str message);

#endif
