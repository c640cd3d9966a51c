package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
	"github.com/gameday-bench/gameday/orchestrator/stack"
	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/cacheoperator"
	"github.com/gameday-bench/gameday/workloads/cacheoperator/api/v1alpha1"
	"github.com/gameday-bench/gameday/workloads/ingress"
)

// appFlags are what create cluster puts on a new cluster.
type appFlags struct {
	app           string
	profile       string
	rate          float64
	ingress       bool
	cacheOperator bool
}

// addOn is something that a cluster gets besides an application.
type addOn struct {
	workloads.App
	name, namespace, served string
}

// addOns are those that were asked for.
func (f *appFlags) addOns() []addOn {
	var out []addOn
	if f.ingress {
		out = append(out, addOn{ingress.New(), "ingress controller", ingress.Namespace, fmt.Sprintf("ingress class %s is served by service %s", ingress.Class, ingress.Service)})
	}
	if f.cacheOperator {
		out = append(out, addOn{cacheoperator.New(), "cache operator", cacheoperator.Namespace, fmt.Sprintf("caches (%s) are served by deployment %s", v1alpha1.GroupVersion, cacheoperator.Name)})
	}
	return out
}

func (f *appFlags) register(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.app, "app", "", "application to deploy, with monitoring and load; see gameday get apps")
	flags.StringVar(&f.profile, "load-profile", "default", "load profile of the application")
	flags.Float64Var(&f.rate, "rate", 0, "requests per second (default: the profile's)")
	flags.BoolVar(&f.ingress, "ingress", false, "install an ingress controller")
	flags.BoolVar(&f.cacheOperator, "cache-operator", false, "install an operator that keeps caches")
	_ = cmd.RegisterFlagCompletionFunc("app", completeNames(func() []string {
		c, _ := a.catalogs()
		return c.apps.IDs()
	}))
}

// definition resolves the application before anything is started; nil where none is asked for.
func (f *appFlags) definition(a *app) (*workloads.Definition, error) {
	if f.app == "" {
		return nil, nil
	}
	c, err := a.catalogs()
	if err != nil {
		return nil, err
	}
	definition, err := c.apps.Get(f.app)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(definition.ProfileNames(), f.profile):
		return nil, unknown("load profile", f.profile, definition.ProfileNames())
	case f.rate < 0:
		return nil, &flagError{errs.Newf(errs.Usage, "invalid --rate %v: want a number of requests per second above 0", f.rate)}
	}
	return definition, nil
}

// deployApp puts the application on the cluster and waits until it is ready under load.
func (a *app) deployApp(ctx context.Context, f *appFlags, definition *workloads.Definition, info record.Info) error {
	config, err := clientcmd.BuildConfigFromFlags("", info.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	s, err := stack.New(stack.Params{
		App: definition, Namespace: definition.Namespace, Profile: f.profile, Rate: f.rate, REST: config, Log: a.logger(),
	})
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.Deploy(ctx); err != nil {
		return fmt.Errorf("deploy app %s: %w", definition.ID, err)
	}
	fmt.Fprintf(a.notes(), "app %s is ready under load after %.1fs, in namespace %s\n", definition.ID, time.Since(began).Seconds(), definition.Namespace)
	return nil
}

// install puts add-ons on the cluster and waits until they are ready.
func (a *app) install(ctx context.Context, addOns []addOn, info record.Info) error {
	if len(addOns) == 0 {
		return nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", info.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	env := workloads.Env{REST: config, Log: a.logger()}
	if env.Kubernetes, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if env.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("make dynamic client: %w", err)
	}
	for _, one := range addOns {
		env.Namespace = one.namespace
		began := time.Now()
		if err := one.Deploy(ctx, env); err != nil {
			return fmt.Errorf("install %s: %w", one.name, err)
		}
		if err := one.Ready(ctx, env); err != nil {
			return fmt.Errorf("wait for %s: %w", one.name, err)
		}
		fmt.Fprintf(a.notes(), "%s in namespace %s, after %.1fs\n", one.served, one.namespace, time.Since(began).Seconds())
	}
	return nil
}
