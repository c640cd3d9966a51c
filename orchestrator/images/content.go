package images

import (
	"encoding/json"
	"encoding/pem"
	"path"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/rootfs"
)

// certificatesFile is where Go and most others look for the certificates of authorities first.
const certificatesFile = "etc/ssl/certs/ca-certificates.crt"

// base are the files that every image has.
func base() []entry {
	var out []entry
	for _, d := range rootfs.Dirs() {
		out = append(out, directory(d.Path, d.Mode, d.Owner))
	}
	for name, content := range rootfs.Files() {
		out = append(out, text(name, content))
	}
	return append(out, text(certificatesFile, certificates()))
}

// certificates are Mozilla's list of authorities, as of the version of the module that holds it. Those with a constraint that
// a certificate cannot express are left out: who reads the file would trust them without it.
func certificates() string {
	var out strings.Builder
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return out.String()
}

// own are the files in which an image differs from others of its executable: who it is, and the links.
func own(of Binary, holder Binary, listing program.Listing, tag string) ([]entry, error) {
	identity, err := json.Marshal(program.Identity{Program: listing.Program, Variant: tag})
	if err != nil {
		return nil, err
	}
	links := map[string]string{}
	for _, name := range listing.Commands {
		links[where(name, "bin")] = "/" + of.place()
	}
	if len(listing.Entrypoint) > 0 {
		links[where(listing.Entrypoint[0], "usr/local/bin")] = "/" + holder.place()
	}
	out := []entry{text(libexec+"/"+program.IdentityFile, string(identity)+"\n")}
	for name, target := range links {
		out = append(out, symlink(name, target))
	}
	return out, nil
}

// where is the path of a command, relative to the root: its own where it has one, otherwise in dir, which is in PATH.
func where(name, dir string) string {
	if path.IsAbs(name) {
		return strings.TrimPrefix(path.Clean(name), "/")
	}
	return path.Join(dir, name)
}
