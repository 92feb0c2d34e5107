#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *err_name(enum err code)
{
    static const char *const names[] = {
#define X(name, text, status) [name] = (text),
        ERR_LIST(X)
#undef X
    };
    return (size_t)code < COUNT_OF(names) ? names[code] : "unknown";
}

int err_status(enum err code)
{
    static const int statuses[] = {
#define X(name, text, status) [name] = (status),
        ERR_LIST(X)
#undef X
    };
    return (size_t)code < COUNT_OF(statuses) ? statuses[code] : 500;
}

enum err err_set(struct err_info *info, enum err code, const char *fmt, ...)
{
    if (info == NULL)
        return code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(info->text, sizeof(info->text), fmt, args);
    va_end(args);
    return code;
}
