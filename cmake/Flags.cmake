# Compiler and linker options for everything of ours, as one interface target.

add_library(o2o_options INTERFACE)
target_include_directories(o2o_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
target_compile_definitions(o2o_options INTERFACE
    _GNU_SOURCE O2O_VERSION="${PROJECT_VERSION}")
target_compile_options(o2o_options INTERFACE
    -Wall -Wextra -Wshadow -Wvla -Wundef -Wpointer-arith -Wcast-align -Wwrite-strings
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wredundant-decls
    -Wformat=2 -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion
    -fno-common -fno-strict-aliasing -ffunction-sections -fdata-sections
    -fstack-protector-strong -fvisibility=hidden)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(o2o_options INTERFACE -fcf-protection)
endif()
target_link_options(o2o_options INTERFACE -pie -Wl,-z,relro,-z,now,--gc-sections,--as-needed)

if(O2O_WERROR)
    target_compile_options(o2o_options INTERFACE -Werror)
endif()
if(O2O_SANITIZE)
    target_compile_options(o2o_options INTERFACE
        -fsanitize=${O2O_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(o2o_options INTERFACE -fsanitize=${O2O_SANITIZE})
    target_compile_definitions(o2o_options INTERFACE O2O_SANITIZED=1)
else()
    # glibc's fortify needs optimisation, and hides errors from the sanitizers.
    target_compile_options(o2o_options INTERFACE
        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=2>)
endif()
