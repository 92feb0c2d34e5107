#include "core/api_error.h"

#include <stddef.h>

static const char *type_of(int status)
{
    switch (status) {
    case 429:
        return "rate_limit_error";
    case 500:
        return "server_error";
    case 502:
    case 503:
    case 504:
        return "upstream_error";
    default:
        return "invalid_request_error";
    }
}

/* What goes with `status` when nothing more is known. */
static const char *code_of(int status)
{
    switch (status) {
    case 401:
        return "invalid_api_key";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_exceeded";
    case 502:
        return "bad_upstream_response";
    case 503:
        return "overloaded";
    case 504:
        return "upstream_timeout";
    default:
        return NULL;
    }
}

struct api_error api_error_make(int status, str message)
{
    return (struct api_error){
        .status = status,
        .type = type_of(status),
        .code = code_of(status),
        .message = message,
    };
}
