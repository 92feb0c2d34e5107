#include "http1_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_http1(HTTP1_RESPONSE, data, size);
    return 0;
}
