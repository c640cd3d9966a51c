package kubectl

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// knownFlags look as if they named files, and do not.
var knownFlags = []string{
	"cascade", "certificate-authority", "client-certificate", "client-key", "cache-dir", // refused
	"field-manager", "profile", "profile-output", "keys", "docker-email", "template", "keep-annotations", "keep-liveness",
	"keep-init-containers", "keep-labels", "keep-readiness", "keep-startup", "output", "output-watch-events",
	"node-port", "raw", "patch", "share-processes", "bound-object-kind", "output-version", "tls-server-name",
}

// Every flag of every command that may name a file is either confined or known not to: an update of kubectl that adds one
// fails here.
func TestEveryFileFlagIsConfined(t *testing.T) {
	t.Parallel()
	suspicious := regexp.MustCompile(`file|path|dir|cert|key|template|custom|kustomize|output|config|src`)
	k := &Kubectl{}
	root := k.tree(&rest.Config{}, &run{stdout: newBuffer(), stderr: newBuffer()}, strings.NewReader(""))
	count := 0
	var loose []string
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		count++
		check := func(flag *pflag.Flag) {
			usage := strings.ToLower(flag.Usage)
			if kind := flag.Value.Type(); kind == "bool" || strings.HasPrefix(kind, "int") {
				return
			}
			if !suspicious.MatchString(flag.Name) && !strings.Contains(usage, "file") && !strings.Contains(usage, "path to") && !strings.Contains(usage, "directory") {
				return
			}
			_, confined := fileFlags[flag.Name]
			if !confined && !slices.Contains(knownFlags, flag.Name) && !slices.Contains(refusedFlags, flag.Name) {
				loose = append(loose, fmt.Sprintf("%s --%s (%s): %s", cmd.CommandPath(), flag.Name, flag.Value.Type(), flag.Usage))
			}
		}
		cmd.LocalFlags().VisitAll(check)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	require.Empty(t, loose)
	require.Greater(t, count, 80)
}
