package kubectl

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

// fixture is the cluster of all scripts. Each has a namespace of its own.
var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 3})

// tests runs the tests of the package on the fixture.
type tests struct{ m *testing.M }

func (t tests) Run() int { return fixture.Main(t.m) }

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"kubectl": kubectl})
}

// kubectl is upstream's main function.
func kubectl() {
	command := cmd.NewDefaultKubectlCommandWithArgs(cmd.KubectlOptions{
		PluginHandler: cmd.NewDefaultPluginHandler(nil), Arguments: os.Args,
		ConfigFlags: genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag(),
		IOStreams:   genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
	})
	if err := cli.RunNoErrOutput(command); err != nil {
		cmdutil.CheckErr(err)
	}
}

// minimum is how many different command lines the scripts have to hold.
const minimum = 60

func TestScripts(t *testing.T) {
	together, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	require.NoError(t, err)
	// What is done to a node is done to everybody's pods on it.
	alone, err := filepath.Glob(filepath.Join("testdata", "alone", "*.txtar"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(commandLines(t, slices.Concat(together, alone))), minimum)
	kubeconfig := fixture.Cluster(t).(*embedded.Cluster).Kubeconfig()
	for _, group := range []struct {
		name  string
		files []string
	}{{"together", together}, {"alone", alone}} {
		t.Run(group.name, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Files:               group.files,
				Setup:               func(env *testscript.Env) error { return setUp(t, env, kubeconfig) },
				Cmds:                map[string]func(*testscript.TestScript, bool, []string){"eventually": eventually, "fetch": fetch},
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
			})
		})
	}
}

// commandLines are the different kubectl command lines of the scripts.
func commandLines(t *testing.T, scripts []string) map[string]bool {
	line := regexp.MustCompile(`(?m)^(?:! )?(?:exec|eventually '[^']*') (kubectl [^\n]*)`)
	out := map[string]bool{}
	for _, script := range scripts {
		data, err := os.ReadFile(script)
		require.NoError(t, err)
		for _, match := range line.FindAllStringSubmatch(string(data), -1) {
			out[match[1]] = true
		}
	}
	return out
}

// setUp gives a script a namespace and a kubeconfig that is in it. $PORT is a port of this machine that was free, $HOST_PORT
// one where this process listens, and $NODE a node.
func setUp(t *testing.T, env *testscript.Env, kubeconfig string) error {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	rig := fixture.Rig(t)
	config.Contexts[config.CurrentContext].Namespace = rig.Namespace
	path := filepath.Join(env.WorkDir, ".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	secret, err := hostPort(t)
	if err != nil {
		return err
	}
	nodes, err := rig.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	env.Setenv("KUBECONFIG", path)
	env.Setenv("NODE", nodes.Items[len(nodes.Items)-1].Name)
	env.Setenv("HOST_PORT", strconv.Itoa(secret))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("NS", rig.Namespace)
	env.Setenv("PORT", strconv.Itoa(port))
	return nil
}

// hostPort listens on the loopback interface of this machine until the test ends.
func hostPort(t *testing.T) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("listen: %w", err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
