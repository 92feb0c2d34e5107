# The libraries the program stands on. All come from the distribution; where a release lacks one,
# scripts/setup has unpacked the next release's package under build/deps.

set(O2O_DEPS "${CMAKE_SOURCE_DIR}/build/deps/usr")
if(EXISTS "${O2O_DEPS}")
    list(PREPEND CMAKE_PREFIX_PATH "${O2O_DEPS}")
endif()
file(GLOB O2O_DEPS_LIBDIR "${O2O_DEPS}/lib/*-linux-gnu*")

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.37)
find_package(OpenSSL 3 REQUIRED)

find_path(YYJSON_INCLUDE yyjson.h REQUIRED)
find_library(YYJSON_LIBRARY NAMES libyyjson.a yyjson HINTS ${O2O_DEPS_LIBDIR} REQUIRED)
find_path(LLHTTP_INCLUDE llhttp.h REQUIRED)
find_library(LLHTTP_LIBRARY NAMES libllhttp.a llhttp HINTS ${O2O_DEPS_LIBDIR} REQUIRED)

# dep_<name>: one interface target per library, so that a layer can hand it to single files.
add_library(dep_libuv INTERFACE)
target_link_libraries(dep_libuv INTERFACE PkgConfig::LIBUV)
add_library(dep_sodium INTERFACE)
target_link_libraries(dep_sodium INTERFACE PkgConfig::SODIUM)
add_library(dep_sqlite INTERFACE)
target_link_libraries(dep_sqlite INTERFACE PkgConfig::SQLITE)
add_library(dep_openssl INTERFACE)
target_link_libraries(dep_openssl INTERFACE OpenSSL::SSL OpenSSL::Crypto)
add_library(dep_yyjson INTERFACE)
target_include_directories(dep_yyjson SYSTEM INTERFACE "${YYJSON_INCLUDE}")
target_link_libraries(dep_yyjson INTERFACE "${YYJSON_LIBRARY}")
add_library(dep_llhttp INTERFACE)
target_include_directories(dep_llhttp SYSTEM INTERFACE "${LLHTTP_INCLUDE}")
target_link_libraries(dep_llhttp INTERFACE "${LLHTTP_LIBRARY}")

# Puts a shared yyjson from build/deps beside the program, where its RUNPATH ($ORIGIN) finds it, and
# its name into O2O_BUNDLED_LIBRARY.
function(o2o_bundle_shared target)
    if(NOT YYJSON_LIBRARY MATCHES "^${O2O_DEPS}.*\\.so$")
        return()
    endif()
    file(REAL_PATH "${YYJSON_LIBRARY}" real)
    add_custom_command(TARGET ${target} POST_BUILD
        COMMAND ${CMAKE_COMMAND} -E copy_if_different "${real}"
                "$<TARGET_FILE_DIR:${target}>/libyyjson.so.0"
        VERBATIM)
    set(O2O_BUNDLED_LIBRARY "${real}" PARENT_SCOPE)
endfunction()
