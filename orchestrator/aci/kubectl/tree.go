package kubectl

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/cmd/annotate"
	"k8s.io/kubectl/pkg/cmd/apiresources"
	"k8s.io/kubectl/pkg/cmd/apply"
	"k8s.io/kubectl/pkg/cmd/auth"
	"k8s.io/kubectl/pkg/cmd/autoscale"
	"k8s.io/kubectl/pkg/cmd/certificates"
	"k8s.io/kubectl/pkg/cmd/clusterinfo"
	"k8s.io/kubectl/pkg/cmd/create"
	"k8s.io/kubectl/pkg/cmd/debug"
	"k8s.io/kubectl/pkg/cmd/delete"
	"k8s.io/kubectl/pkg/cmd/describe"
	"k8s.io/kubectl/pkg/cmd/drain"
	"k8s.io/kubectl/pkg/cmd/events"
	cmdexec "k8s.io/kubectl/pkg/cmd/exec"
	"k8s.io/kubectl/pkg/cmd/explain"
	"k8s.io/kubectl/pkg/cmd/expose"
	"k8s.io/kubectl/pkg/cmd/get"
	"k8s.io/kubectl/pkg/cmd/label"
	"k8s.io/kubectl/pkg/cmd/logs"
	"k8s.io/kubectl/pkg/cmd/patch"
	"k8s.io/kubectl/pkg/cmd/replace"
	"k8s.io/kubectl/pkg/cmd/rollout"
	cmdrun "k8s.io/kubectl/pkg/cmd/run"
	"k8s.io/kubectl/pkg/cmd/scale"
	"k8s.io/kubectl/pkg/cmd/set"
	"k8s.io/kubectl/pkg/cmd/taint"
	"k8s.io/kubectl/pkg/cmd/top"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/cmd/version"
	"k8s.io/kubectl/pkg/cmd/wait"
	"k8s.io/kubectl/pkg/util/templates"
)

// refusedCommands are kubectl's commands that have no sense or no safe sense here, with what to do instead.
var refusedCommands = map[string]string{
	"alpha":        "it is not available here",
	"attach":       "there is no terminal; use logs, or exec with a command",
	"completion":   "there is no terminal",
	"config":       "the connection is fixed",
	"edit":         "there is no editor; use patch, set, or apply -f - with stdin",
	"kuberc":       "the connection is fixed",
	"kustomize":    "use apply -k, diff -k or get -k",
	"plugin":       "there are no plugins",
	"port-forward": "nothing outside this call could use the port; use exec with curl",
	"proxy":        "nothing outside this call could use the port; use get --raw",
}

// refusedFlags are the global flags that would change the connection.
var refusedFlags = []string{
	"as", "as-group", "as-uid", "as-user-extra", "cache-dir", "certificate-authority", "client-certificate", "client-key",
	"cluster", "context", "insecure-skip-tls-verify", "kubeconfig", "kuberc", "password", "profile-output", "server",
	"tls-server-name", "token", "user", "username",
}

// tree builds the command tree for one run: kubectl's own commands, without those that reach outside.
func (k *Kubectl) tree(config *rest.Config, r *run, stdin io.Reader) *cobra.Command {
	adopt() // kubectl reads what it sets while it builds its commands.
	streams := genericiooptions.IOStreams{In: stdin, Out: r.stdout, ErrOut: r.stderr}
	root := &cobra.Command{
		Use: "kubectl", Short: "kubectl controls the Kubernetes cluster manager",
		SilenceUsage: true, SilenceErrors: true,
		Run: func(cmd *cobra.Command, _ []string) { _ = cmd.Help() },
	}
	root.SetIn(stdin)
	root.SetOut(r.stdout)
	root.SetErr(r.stderr)
	g := &getter{kubectl: k, config: config, warn: func(s string) { r.stderr.writeLine("Warning: " + s) }}
	addGlobalFlags(root, g)
	f := cmdutil.NewFactory(cmdutil.NewMatchVersionFlags(g))
	groups := commandGroups(f, streams)
	groups.Add(root)
	templates.ActsAsRootCommand(root, []string{"options"}, groups...)
	root.AddCommand(
		version.NewCmdVersion(f, streams), apiresources.NewCmdAPIVersions(f, streams), apiresources.NewCmdAPIResources(f, streams))
	for name, why := range refusedCommands {
		root.AddCommand(refusedCommand(name, why))
	}
	replaceCommand(root, canI(f, streams), "auth", "can-i")
	replaceCommand(root, refusedCommand("edit-last-applied", refusedCommands["edit"]), "apply", "edit-last-applied")
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := refuseFlags(cmd); err != nil {
			return err
		}
		if serving.Load() && costly(cmd) {
			return errCostly // A child asks all this again.
		}
		return k.confine(cmd, args, r.stdin)
	}
	return root
}

func commandGroups(f cmdutil.Factory, streams genericiooptions.IOStreams) templates.CommandGroups {
	return templates.CommandGroups{
		{Message: "Basic Commands:", Commands: []*cobra.Command{
			create.NewCmdCreate(f, streams), expose.NewCmdExposeService(f, streams), cmdrun.NewCmdRun(f, streams),
			set.NewCmdSet(f, streams), explain.NewCmdExplain("kubectl", f, streams), get.NewCmdGet("kubectl", f, streams),
			delete.NewCmdDelete(f, streams),
		}},
		{Message: "Deploy Commands:", Commands: []*cobra.Command{
			rollout.NewCmdRollout(f, streams), scale.NewCmdScale(f, streams), autoscale.NewCmdAutoscale(f, streams),
		}},
		{Message: "Cluster Management Commands:", Commands: []*cobra.Command{
			certificates.NewCmdCertificate(f, streams), clusterinfo.NewCmdClusterInfo(f, streams), top.NewCmdTop(f, streams),
			drain.NewCmdCordon(f, streams), drain.NewCmdUncordon(f, streams), drain.NewCmdDrain(f, streams),
			taint.NewCmdTaint(f, streams),
		}},
		{Message: "Troubleshooting and Debugging Commands:", Commands: []*cobra.Command{
			describe.NewCmdDescribe("kubectl", f, streams), logs.NewCmdLogs(f, streams), cmdexec.NewCmdExec(f, streams),
			cpCommand(f, streams), auth.NewCmdAuth(f, streams), debug.NewCmdDebug(f, streams), events.NewCmdEvents(f, streams),
		}},
		{Message: "Advanced Commands:", Commands: []*cobra.Command{
			diffCommand(f, streams), apply.NewCmdApply("kubectl", f, streams), patch.NewCmdPatch(f, streams),
			replace.NewCmdReplace(f, streams), wait.NewCmdWait(f, streams),
		}},
		{Message: "Settings Commands:", Commands: []*cobra.Command{
			label.NewCmdLabel(f, streams), annotate.NewCmdAnnotate("kubectl", f, streams),
		}},
	}
}

func addGlobalFlags(root *cobra.Command, g *getter) {
	flags := root.PersistentFlags()
	namespace := flags.StringP("namespace", "n", "", "If present, the namespace scope for this CLI request")
	flags.String("request-timeout", "0", "Ignored: give the call timeout_seconds instead")
	flags.IntP("v", "v", 0, "Ignored")
	flags.Bool("warnings-as-errors", false, "Ignored")
	for _, hidden := range []string{"v", "request-timeout", "warnings-as-errors"} {
		_ = flags.MarkHidden(hidden)
	}
	for _, name := range refusedFlags {
		short := ""
		if name == "server" {
			short = "s"
		}
		flags.StringArrayP(name, short, nil, "")
		if name == "insecure-skip-tls-verify" {
			flags.Lookup(name).NoOptDefVal = "true"
		}
		_ = flags.MarkHidden(name)
	}
	g.namespace = namespace
}

func refuseFlags(cmd *cobra.Command) error {
	flags := cmd.Root().PersistentFlags()
	for _, name := range refusedFlags {
		// A command's own flag of the same name (create rolebinding --user) hides the global one.
		if flag := flags.Lookup(name); flag.Changed && cmd.Flags().Lookup(name) == flag {
			return fmt.Errorf("--%s is refused: the connection to the cluster is fixed", name)
		}
	}
	if edit := cmd.Flags().Lookup("edit"); edit != nil && edit.Changed {
		return fmt.Errorf("--edit is refused: there is no editor; use apply -f - with stdin")
	}
	return nil
}

func refusedCommand(name, why string) *cobra.Command {
	return &cobra.Command{
		Use: name, Hidden: true, DisableFlagParsing: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("kubectl %s is refused: %s", name, why)
		},
	}
}

// replaceCommand puts with in the place of the command at path.
func replaceCommand(root, with *cobra.Command, path ...string) {
	parent := root
	for _, name := range path {
		i := slices.IndexFunc(parent.Commands(), func(c *cobra.Command) bool { return c.Name() == name })
		if i < 0 {
			return
		}
		child := parent.Commands()[i]
		if name == path[len(path)-1] {
			parent.RemoveCommand(child)
			parent.AddCommand(with)
			return
		}
		parent = child
	}
}
