# The program `esm` alone. `cargo xtask dist` prepares the context, builds the image and runs it; see
# docs/install.md.
#
# The image has no certificates: mount those of your system where esm talks to a server over TLS.
FROM scratch
# the program, and a folder in which any user writes temporary files
COPY root/ /
USER 65532:65532
ENTRYPOINT ["/esm"]
