package cli

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
)

// newExecutor holds the commands of the pods that --executor kubernetes makes. They are not for people.
func newExecutor(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "executor", Short: "Be a part of a run that is played on a cluster", Hidden: true, Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newExecutorWorker(a), newExecutorDepot(a))
	return cmd
}

func newExecutorWorker(a *app) *cobra.Command {
	access, work := "", ""
	cmd := &cobra.Command{
		Use: "worker", Short: "Play one trial in a pod (started by a Job)", Hidden: true, Args: nameArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.work(cmd, access, work) },
	}
	cmd.Flags().StringVar(&access, "access", "", "file that says how the store is reached")
	cmd.Flags().StringVar(&work, "work", "", "empty directory for what is played")
	return cmd
}

// work plays the trial of this pod. Its standard error is the log of the pod.
func (a *app) work(cmd *cobra.Command, access, dir string) error {
	how, err := scaleout.ReadAccess(access)
	if err != nil {
		return err
	}
	store, err := how.Open()
	if err != nil {
		return err
	}
	w, err := scaleout.WorkerOf(store, dir, a.LookupEnv)
	if err != nil {
		return err
	}
	w.Log = a.logger()
	observer, err := a.progress("plain")
	if err != nil {
		return err
	}
	defer a.endProgress(observer)
	return w.Work(cmd.Context(), func(packs []string) (scaleout.Player, error) {
		a.packs = packs
		c, err := a.catalogs()
		if err != nil {
			return nil, err
		}
		return a.runner(c, &clusterFlags{}, observer), nil
	})
}

func newExecutorDepot(a *app) *cobra.Command {
	dir, listen, secrets := "", "", ""
	cmd := &cobra.Command{
		Use: "depot", Short: "Keep the tries of a run on a volume (started by run)", Hidden: true, Args: nameArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := os.ReadFile(filepath.Join(secrets, depot.TokenFile))
			if err != nil {
				return errs.With(errs.Usage, fmt.Errorf("read token: %w", err))
			}
			certificate, err := tls.LoadX509KeyPair(filepath.Join(secrets, corev1.TLSCertKey), filepath.Join(secrets, corev1.TLSPrivateKeyKey))
			if err != nil {
				return errs.With(errs.Usage, fmt.Errorf("read certificate: %w", err))
			}
			server := &depot.Server{Dir: dir, Token: strings.TrimSpace(string(token)), Log: a.logger()}
			return server.Serve(cmd.Context(), listen, certificate)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory of the volume")
	cmd.Flags().StringVar(&listen, "listen", "", "address to serve on")
	cmd.Flags().StringVar(&secrets, "secrets", "", "directory with token and certificate")
	return cmd
}
