package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/cmd/apply"
	"k8s.io/kubectl/pkg/cmd/auth"
	"k8s.io/kubectl/pkg/cmd/diff"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/utils/exec"
)

// canI is kubectl auth can-i, but for its os.Exit.
func canI(f cmdutil.Factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &auth.CanIOptions{IOStreams: streams}
	cmd := &cobra.Command{
		Use: "can-i VERB [TYPE | TYPE/NAME | NONRESOURCEURL]", Short: "Check whether an action is allowed",
		Run: func(_ *cobra.Command, args []string) {
			cmdutil.CheckErr(o.Complete(f, args))
			cmdutil.CheckErr(o.Validate())
			if o.List {
				cmdutil.CheckErr(o.RunAccessList())
				return
			}
			allowed, err := o.RunAccessCheck()
			cmdutil.CheckErr(err)
			if !allowed {
				cmdutil.CheckErr(cmdutil.ErrExit)
			}
		},
	}
	cmd.Flags().BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "If true, check the specified action in all namespaces.")
	cmd.Flags().BoolVarP(&o.Quiet, "quiet", "q", false, "If true, suppress output and just return the exit code.")
	cmd.Flags().StringVar(&o.Subresource, "subresource", "", "SubResource such as pod/log or deployment/scale")
	cmd.Flags().BoolVar(&o.List, "list", false, "If true, prints all allowed actions.")
	cmd.Flags().BoolVar(&o.NoHeaders, "no-headers", false, "If true, prints allowed actions without headers")
	return cmd
}

// diffCommand is kubectl diff with a differ of its own in the place of the host's program.
func diffCommand(f cmdutil.Factory, streams genericiooptions.IOStreams) *cobra.Command {
	options := diff.NewDiffOptions(streams)
	options.Diff.Exec = differ{}
	cmd := &cobra.Command{
		Use: "diff -f FILENAME", Short: "Diff the live version against a would-be applied version",
		Run: func(cmd *cobra.Command, args []string) {
			cmdutil.CheckDiffErr(options.Complete(f, cmd, args))
			cmdutil.CheckDiffErr(options.Validate())
			if err := options.Run(); err != nil {
				var found exec.ExitError
				if errors.As(err, &found) && found.ExitStatus() <= 1 {
					return // Differences are an answer, not a failure.
				}
				cmdutil.CheckDiffErr(err)
			}
		},
	}
	cmd.Flags().StringArray("prune-allowlist", []string{}, "Overwrite the default allowlist with <group/version/kind> for --prune")
	cmd.Flags().Bool("prune", false, "Include resources that would be deleted by pruning")
	cmd.Flags().BoolVar(&options.ShowManagedFields, "show-managed-fields", false, "If true, include managed fields in the diff.")
	cmd.Flags().IntVar(&options.Concurrency, "concurrency", 1, "Number of objects to process in parallel")
	cmdutil.AddFilenameOptionFlags(cmd, &options.FilenameOptions, "contains the configuration to diff")
	cmdutil.AddServerSideApplyFlags(cmd)
	cmdutil.AddFieldManagerFlagVar(cmd, &options.FieldManager, apply.FieldManagerClientSideApply)
	cmdutil.AddLabelSelectorFlagVar(cmd, &options.Selector)
	return cmd
}

// differ is what kubectl diff takes for the operating system's programs: whatever it asks for, it gets diff -u -N.
type differ struct{}

func (differ) Command(_ string, args ...string) exec.Cmd { return &diffRun{args: args} }

func (d differ) CommandContext(_ context.Context, name string, args ...string) exec.Cmd {
	return d.Command(name, args...)
}

func (differ) LookPath(file string) (string, error) { return file, nil }

// diffRun compares two directories. The embedded interface holds the methods that kubectl diff does not use.
type diffRun struct {
	exec.Cmd
	args []string
	out  io.Writer
}

func (d *diffRun) SetStdout(out io.Writer) { d.out = out }
func (d *diffRun) SetStderr(io.Writer)     {}

// Run writes the differences; an ExitError with code 1 says that there are some.
func (d *diffRun) Run() error {
	if len(d.args) < 2 {
		return errors.New("diff: two directories are needed")
	}
	from, to := d.args[len(d.args)-2], d.args[len(d.args)-1]
	names, err := fileNames(from, to)
	if err != nil {
		return err
	}
	different := false
	for _, name := range names {
		text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
			A: lines(filepath.Join(from, name)), B: lines(filepath.Join(to, name)),
			FromFile: "live/" + name, ToFile: "merged/" + name, Context: 3,
		})
		if err != nil {
			return fmt.Errorf("compare %s: %w", name, err)
		}
		different = different || text != ""
		if _, err := io.WriteString(d.out, text); err != nil {
			return err
		}
	}
	if different {
		return exec.CodeExitError{Err: errors.New("differences were found"), Code: 1}
	}
	return nil
}

func fileNames(dirs ...string) ([]string, error) {
	var names []string
	for _, dir := range dirs {
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				names = append(names, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list files to compare: %w", err)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// lines are the lines of a file; a file that is not there has none.
func lines(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return nil
	}
	return slices.Collect(strings.Lines(string(data)))
}
