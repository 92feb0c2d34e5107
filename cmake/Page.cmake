# The admin page: web/ is bundled by esbuild and compiled into the program (src/app/ui.h).
# Packages come from npm once, by the lock file; after that nothing is fetched.

find_program(O2O_NODE node REQUIRED)
find_program(O2O_NPM npm)

set(web "${CMAKE_SOURCE_DIR}/web")
set(installed "${web}/node_modules/.installed") # the lock file as it was installed
file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS "${web}/src/*")

# An installed copy that is equal to the lock file is enough, however old it is.
if(EXISTS "${installed}")
    file(SHA256 "${installed}" have)
    file(SHA256 "${web}/package-lock.json" want)
endif()
if(NOT EXISTS "${installed}" OR NOT have STREQUAL want)
    add_custom_command(OUTPUT "${installed}"
        COMMAND "${O2O_NPM}" ci --no-audit --no-fund --loglevel=error
        COMMAND ${CMAKE_COMMAND} -E copy "${web}/package-lock.json" "${installed}"
        DEPENDS "${web}/package-lock.json"
        WORKING_DIRECTORY "${web}"
        COMMENT "Installing the page's packages" VERBATIM)
endif()

set(ui_files "${CMAKE_BINARY_DIR}/ui/ui_files.c")
add_custom_command(OUTPUT "${ui_files}"
    COMMAND "${O2O_NODE}" build.mjs "${CMAKE_BINARY_DIR}/ui"
    DEPENDS ${web_sources} "${web}/build.mjs" "${web}/package.json" "${installed}"
    WORKING_DIRECTORY "${web}"
    COMMENT "Bundling the admin page" VERBATIM)
target_sources(o2o_app PRIVATE "${ui_files}")
