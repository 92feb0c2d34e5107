/*
 * banned - functions that are unbounded, bound to a locale or not safe in threads
 *
 * Their names do not compile. The headers that declare them come first, so that the ban does not
 * strike those.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef sprintf // a macro of glibc's where the compiler is clang

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gmtime localtime
#pragma GCC poison atoi atol

#endif
