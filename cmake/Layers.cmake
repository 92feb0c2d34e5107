# o2o_layer(<name> DEPENDS <targets> MODULES <module>:<dep>…)
# Builds src/<name>/*.c as the static library o2o_<name>. MODULES hands a third-party library's
# headers to one module's file (or to all of the layer's .c files with "*").
function(o2o_layer name)
    cmake_parse_arguments(arg "" "" "DEPENDS;MODULES" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.c")
    add_library(o2o_${name} STATIC ${sources})
    target_link_libraries(o2o_${name} PUBLIC o2o_options ${arg_DEPENDS})
    foreach(module IN LISTS arg_MODULES)
        string(REGEX REPLACE ".*:" "" dep "${module}")
        target_link_libraries(o2o_${name} PRIVATE dep_${dep})
    endforeach()
endfunction()
