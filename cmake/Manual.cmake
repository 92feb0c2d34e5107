# The manual page, and the program that writes the settings' part of it and of docs/configuration.md.

add_executable(manual_settings packaging/manual/settings.c)
target_link_libraries(manual_settings PRIVATE o2o_core o2o_base o2o_options)

set(O2O_MAN_PAGE "${CMAKE_BINARY_DIR}/ollama2openai.1")
add_custom_command(OUTPUT "${O2O_MAN_PAGE}"
    COMMAND ${CMAKE_COMMAND} -DSETTINGS=$<TARGET_FILE:manual_settings>
            -DIN=${CMAKE_SOURCE_DIR}/packaging/manual/ollama2openai.1.in -DOUT=${O2O_MAN_PAGE}
            -DVERSION=${PROJECT_VERSION} -P ${CMAKE_SOURCE_DIR}/cmake/write-man-page.cmake
    DEPENDS manual_settings packaging/manual/ollama2openai.1.in cmake/write-man-page.cmake
    VERBATIM)
add_custom_target(man_page ALL DEPENDS "${O2O_MAN_PAGE}")
