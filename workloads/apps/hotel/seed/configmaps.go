package seed

import (
	"fmt"
	"strings"
)

// File is the name of the manifest file that ConfigMaps makes, below the application's manifests.
const File = "20-initdb.yaml"

// ConfigMaps returns the scripts as ConfigMaps, one per store: what the stores mount as /docker-entrypoint-initdb.d.
func ConfigMaps() (string, error) {
	scripts, err := Scripts()
	if err != nil {
		return "", fmt.Errorf("make seed data: %w", err)
	}
	b := &strings.Builder{}
	b.WriteString("# Made by go generate (package seed); do not edit.\n")
	for _, s := range scripts {
		fmt.Fprintf(b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: mysql-%s-initdb\n  labels:\n    app.kubernetes.io/name: mysql-%s\n"+
			"    app.kubernetes.io/component: store\n    app.kubernetes.io/part-of: hotel\ndata:\n  %s: |\n", s.Store, s.Store, s.Name)
		for line := range strings.SplitSeq(strings.TrimSuffix(s.SQL, "\n"), "\n") {
			b.WriteString("    " + line + "\n")
		}
	}
	return b.String(), nil
}
