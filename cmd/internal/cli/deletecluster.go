package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

// deleteFlags are the flags of delete cluster.
type deleteFlags struct {
	all      bool
	on       string
	clusters clusterFlags
}

func newDeleteCluster(a *app) *cobra.Command {
	f := &deleteFlags{}
	cmd := &cobra.Command{
		Use:   "cluster [NAME...]",
		Short: "Delete clusters that were created",
		Long: `End the processes or containers of clusters and remove their directories. Deleting a cluster that does not exist is no
error. Without NAME it is the cluster called gameday.

--all deletes every cluster that was created, and what is left of clusters whose owner is gone, containers and networks of
kind clusters among it; clusters of runs that are still going are left alone, and so are those of other owners: other
users of a container engine, or another runtime directory (XDG_RUNTIME_DIR).

--cluster existing deletes no cluster: it removes what killed runs have left on the cluster behind --context.`,
		Example: "  gameday delete cluster\n  gameday delete cluster demo\n  gameday delete cluster --all\n  gameday delete cluster --all --cluster kind\n" +
			"  gameday delete cluster --cluster existing --context staging",
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: completeNames(func() []string {
			var names []string
			infos, _ := a.Backend.Clusters.List() // Completion has nobody to tell.
			for _, c := range infos {
				names = append(names, c.Name)
			}
			return names
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			only := onlyKind(cmd, f.on)
			if err := f.clusters.check(cmd, only); err != nil {
				return err
			}
			switch {
			case only == onExisting && (f.all || len(args) > 0):
				return &flagError{errs.Newf(errs.Usage, "--cluster existing: the cluster is the one behind --context; give neither names nor --all")}
			case only == onExisting:
				return a.cleanExisting(cmd.Context(), f)
			case f.all && len(args) > 0:
				return &flagError{errs.Newf(errs.Usage, "give names or --all, not both")}
			case !f.all && len(args) == 0:
				args = []string{"gameday"}
			}
			return a.deleteClusters(cmd, args, f.all, only)
		},
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "delete every cluster that belongs to no run")
	kindFilter(cmd, &f.on)
	f.clusters.registerAccess(cmd)
	return cmd
}

// cleanExisting removes what killed runs have left on a cluster that is there.
func (a *app) cleanExisting(ctx context.Context, f *deleteFlags) error {
	found, err := a.Backend.Clusters.CleanUp(ctx, f.clusters.existingProvider(a, nil))
	for _, what := range found {
		fmt.Fprintf(a.notes(), "found on context %s: %s\n", f.clusters.context, what)
	}
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		fmt.Fprintf(a.notes(), "nothing was left on context %s\n", f.clusters.context)
	default:
		fmt.Fprintln(a.notes(), "all of it is removed")
	}
	return nil
}

// kindFilter adds --cluster as a filter.
func kindFilter(cmd *cobra.Command, on *string) {
	enumFlag(cmd, on, "cluster", "", "cluster provider", "only clusters of this kind", providerNames())
}

// onlyKind is the kind of clusters that the command line asks for, "" for all. The setting of the same name is about clusters that will be
// made, and is no filter.
func onlyKind(cmd *cobra.Command, on string) string {
	if !cmd.Flags().Changed("cluster") {
		return ""
	}
	return on
}

// lookLimit bounds the look for containers where no command's context does.
const lookLimit = 30 * time.Second

// clusters are all clusters of this user, of one kind where only is not empty. unseen says which container engines do not answer: what they
// have is not known.
func (a *app) clusters(ctx context.Context, only string) (infos []record.Info, unseen, err error) {
	if infos, err = a.Backend.Clusters.List(); err != nil {
		return nil, nil, err
	}
	if look := a.Backend.Clusters.Left; look != nil && only != onEmbedded {
		var left []record.Info
		left, unseen = look(ctx)
		infos = append(infos, left...)
		slices.SortStableFunc(infos, func(a, b record.Info) int { return strings.Compare(a.Name, b.Name) })
	}
	return slices.DeleteFunc(infos, func(c record.Info) bool { return only != "" && c.Kind != only }), unseen, nil
}

// noteUnseen says which engines do not answer.
func (a *app) noteUnseen(unseen error) {
	if unseen != nil {
		fmt.Fprintf(a.notes(), "containers of kind clusters, if there are any, were not looked at: %v\n", unseen)
	}
}

func (a *app) deleteClusters(cmd *cobra.Command, names []string, all bool, only string) error {
	infos, unseen, err := a.clusters(cmd.Context(), only)
	if err != nil {
		return err
	}
	chosen, failed := a.choose(infos, names, all)
	for _, info := range chosen {
		if err := a.Backend.Clusters.Delete(cmd.Context(), info); err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintf(a.notes(), "cluster %q is deleted\n", info.Name)
	}
	ofKind := slices.ContainsFunc(infos, func(c record.Info) bool { return c.Kind == onKind })
	switch {
	case unseen != nil && (ofKind || only == onKind):
		failed = append(failed, unseen) // There may be more of them: nobody is to think that all are gone.
	default:
		a.noteUnseen(unseen)
	}
	if all && only != onEmbedded {
		failed = append(failed, a.deleteShared(cmd.Context()))
	}
	return errors.Join(failed...)
}

// choose finds the clusters that are to be deleted. What cannot be is an error each.
func (a *app) choose(infos []record.Info, names []string, all bool) (chosen []record.Info, failed []error) {
	if all {
		return slices.DeleteFunc(slices.Clone(infos), func(c record.Info) bool { return c.Status == record.Running && !c.Supervised }), nil
	}
	for _, name := range names {
		if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
			failed = append(failed, errs.Newf(errs.Usage, "delete cluster %q: not a name", name))
			continue
		}
		found := false
		for _, c := range infos {
			if c.Name == name {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			fmt.Fprintf(a.notes(), "cluster %q does not exist\n", name)
		}
	}
	return chosen, failed
}

// deleteShared removes what clusters shared, and says whose clusters are left alone.
func (a *app) deleteShared(ctx context.Context) error {
	if others := a.Backend.Clusters.Others; others != nil {
		if left := others(ctx); len(left) > 0 {
			fmt.Fprintf(a.notes(), "kind clusters of other owners are left alone: %s; where that is a mistake: kind delete cluster --name NAME\n", list(left))
		}
	}
	if prune := a.Backend.Clusters.Prune; prune != nil {
		return prune(ctx)
	}
	return nil
}
