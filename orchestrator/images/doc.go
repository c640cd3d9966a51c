// Package images makes container images of the in-cluster programs, so that they run on clusters that the harness does not
// make itself: nodes that load an archive (kind), and nodes that pull from a registry.
//
// Nothing is built by Docker. An image is some layers and a description, and all that they hold is known: the root file
// system that every container has (package rootfs), the certificates of public authorities, the executable, and links to it.
// The executable is a layer of its own, so that all images of one executable hold it once, on a disk and in a registry. The
// links give it the names under which it is called: the entrypoint, the shell and its tools, the image's own commands; it
// tells by the name what to be (program.Identity).
//
// Images are reproducible: with the same executables the same digests come out, whenever and wherever they are made. The
// references are those in the manifests, and tags are build variants, as on the embedded cluster.
package images
