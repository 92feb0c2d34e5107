# cmake -DSETTINGS=program -DIN=file -DOUT=file -DVERSION=text -P write-man-page.cmake
execute_process(COMMAND "${SETTINGS}" man OUTPUT_VARIABLE SETTINGS_LIST COMMAND_ERROR_IS_FATAL ANY)
configure_file("${IN}" "${OUT}" @ONLY)
