# cmake --install: the program, its manual page, its documents and the unit of systemd.
include(GNUInstallDirs)

install(TARGETS ollama2openai RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES "${O2O_MAN_PAGE}" DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES README.md README.zh-CN.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)

# systemd looks for units of packages under lib/, whatever the machine's architecture. The unit names
# the program's place, which is known when it is installed (--prefix).
install(CODE "
    set(BINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
    configure_file(\"${CMAKE_SOURCE_DIR}/packaging/systemd/ollama2openai.service.in\"
                   \"${CMAKE_BINARY_DIR}/ollama2openai.service\" @ONLY)")
install(FILES "${CMAKE_BINARY_DIR}/ollama2openai.service" DESTINATION lib/systemd/system)

# The program's own copy of a library that the system lacks.
if(O2O_BUNDLED_LIBRARY)
    install(PROGRAMS "${O2O_BUNDLED_LIBRARY}" RENAME libyyjson.so.0
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/ollama2openai)
    set_property(TARGET ollama2openai APPEND PROPERTY INSTALL_RPATH
                 "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/ollama2openai")
endif()
