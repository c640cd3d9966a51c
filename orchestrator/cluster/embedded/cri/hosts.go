package cri

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	hostsPath = "/etc/hosts"
	// hostsHeader is what the kubelet writes above the machine's hosts file.
	hostsHeader = "# Kubernetes-managed hosts file (host network).\n"
)

// isHostsFile says whether a mount is the hosts file that the kubelet has made for a pod on the host's network. The kubelet copies its machine's,
// and the machine here is no node.
func (c *container) isHostsFile(m *runtimeapi.Mount) bool {
	return c.sandbox.hostNetwork() && m.ContainerPath == hostsPath && filepath.Base(m.HostPath) == "etc-hosts"
}

// nodeHosts makes, of the hosts file that the kubelet has made, the one that the container gets: the node's own, with the pod's aliases behind it.
func (c *container) nodeHosts(kubelets string) (onHost, within string, err error) {
	made, err := os.ReadFile(kubelets)
	if err != nil {
		return "", "", fmt.Errorf("read the pod's hosts file: %w", err)
	}
	machine, err := os.ReadFile(hostsPath)
	if err != nil {
		return "", "", fmt.Errorf("read the machine's hosts file: %w", err)
	}
	aliases, found := strings.CutPrefix(string(made), hostsHeader+string(machine))
	if !found { // The machine's has changed since: what is of the machine cannot be told from what is of the pod.
		aliases = ""
		c.r.log.Warn("aliases of a pod's hosts file not found", "sandbox", c.sandbox.id)
	}
	file := filepath.Join(c.sandbox.dir, "hosts")
	if err := os.WriteFile(file, []byte(hostsHeader+c.readNodeHosts()+aliases), 0o644); err != nil {
		return "", "", fmt.Errorf("write the pod's hosts file: %w", err)
	}
	return file, "", nil
}

// readNodeHosts reads the node's /etc/hosts, within its root directory; a node that has none has an empty one.
func (c *container) readNodeHosts() string {
	root, err := os.OpenRoot(c.r.cfg.HostPathDir)
	if err != nil {
		return ""
	}
	defer root.Close()
	data, err := root.ReadFile(strings.TrimPrefix(hostsPath, "/"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.r.log.Warn("hosts file of the node not read", "error", err)
	}
	return string(data)
}
