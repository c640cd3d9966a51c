package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// hostsFile is the node's /etc/hosts, in its own root. Pods on the host's network see it as theirs.
const hostsFile = "etc/hosts"

// writeHosts writes the node's hosts file below its root directory, as an installer would. One that is there is left as it is.
func writeHosts(dir string, n spec.Node) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(hostsFile), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(hostsFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n%s\t%s\n", n.Address, n.Name)
	return errors.Join(err, f.Close())
}
