package scaleout

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
)

// depotName is the name of a depot's Deployment and claim. Each has its own: the volume of the one before may be on a node that is
// gone, and stay for as long.
func depotName(generation int) string { return fmt.Sprintf("depot-%d", generation) }

// depotSecrets makes what the depot proves itself with and asks for, and returns how workers reach it.
func (s *session) depotSecrets(ctx context.Context) (*DepotAccess, error) {
	host := fmt.Sprintf("%s.%s.svc", depotService, s.namespace)
	certificate, key, err := depot.Certificate(s.Clock.Now(), host)
	if err != nil {
		return nil, err
	}
	s.token = depot.NewToken()
	data := map[string][]byte{depot.TokenFile: []byte(s.token), corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key}
	if err := s.makeSecret(ctx, depotSecret, data); err != nil {
		return nil, err
	}
	return &DepotAccess{URL: fmt.Sprintf("https://%s:%d", host, depotPort), Token: s.token, Certificate: certificate}, nil
}

// newDepot makes the next depot of the session, has the Service lead to it, and returns when it serves. The Service comes last: who
// takes the session over goes by it, and what it leads to has to be there.
func (s *session) newDepot(ctx context.Context) error {
	s.generation++
	name, generation, client := depotName(s.generation), strconv.Itoa(s.generation), s.Cluster.Client
	claim := volumeClaim(name, s.Storage.Class, volumeSize(len(s.plan.Tasks)))
	if err := ensure(ctx, s.Executor, client.CoreV1().PersistentVolumeClaims(s.namespace).Create, claim); err != nil {
		return fmt.Errorf("create volume claim: %w", err)
	}
	if err := ensure(ctx, s.Executor, client.AppsV1().Deployments(s.namespace).Create, depotOf(name, generation, s.image)); err != nil {
		return fmt.Errorf("create depot: %w", err)
	}
	if err := s.pointService(ctx, generation); err != nil {
		return err
	}
	if err := s.openDepot(); err != nil {
		return err
	}
	return s.awaitDepot(ctx)
}

// pointService has the Service lead to the depot of a generation. The first one makes the Service.
func (s *session) pointService(ctx context.Context, generation string) error {
	services := s.Cluster.Client.CoreV1().Services(s.namespace)
	if s.generation == 1 {
		if err := ensure(ctx, s.Executor, services.Create, serviceOf(generation)); err != nil {
			return fmt.Errorf("create service: %w", err)
		}
		return nil
	}
	patch := fmt.Sprintf(`{"spec":{"selector":{%q:%q}}}`, generationLabel, generation)
	err := s.call(ctx, func(ctx context.Context) error {
		_, err := services.Patch(ctx, depotService, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("point service to the depot: %w", err)
	}
	return nil
}

// openDepot makes the client of the depot, by way of the API server.
func (s *session) openDepot() error {
	base, transport, err := s.Cluster.Proxy(s.namespace, depotService, depotPort)
	if err != nil {
		return err
	}
	s.store = depot.NewClient(base, s.token, transport)
	return nil
}

// awaitDepot waits until the depot answers. When it takes too long, or cannot be, the error says what its pod waits for.
func (s *session) awaitDepot(ctx context.Context) error {
	tick := s.Clock.NewTicker(poll)
	defer tick.Stop()
	until := s.Clock.Now().Add(startPatience)
	for {
		_, err := s.store.List(ctx, planKey)
		if err == nil {
			return nil
		}
		waits := s.depotWaits(ctx)
		switch {
		case errors.Is(err, context.Canceled), ctx.Err() != nil:
			return err
		case waits.hopeless, blob.Final(err), s.Clock.Now().After(until):
			return errs.Hint(errs.With(errs.Infra, fmt.Errorf("wait for the depot: %s: %w", waits, err)), "%s", waits.hint(s.Cluster.Context))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C():
		}
	}
}

// depotWaits is what keeps the pod of the newest depot from running.
func (s *session) depotWaits(ctx context.Context) obstacle {
	pods, err := s.Cluster.Client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: fmt.Sprintf("%s=%s,%s=%d", partLabel, depotPart, generationLabel, s.generation),
	})
	if err != nil {
		return obstacle{text: err.Error()}
	}
	for _, pod := range pods.Items {
		if o := s.obstacle(&pod); o.text != "" {
			return o
		}
	}
	if len(pods.Items) == 0 {
		return s.noPod(ctx)
	}
	return obstacle{text: "its pod does not answer yet"}
}

// replaceDepot makes a new depot in place of one that is out of reach, on whatever node there is. What was in the old one and not
// gathered is lost, and played again.
func (s *session) replaceDepot(ctx context.Context) error {
	old := depotName(s.generation)
	s.board.note("the depot has been out of reach for %s: making another one", storePatience)
	if err := s.newDepot(ctx); err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	if err := s.dropDepot(ctx, old); err != nil {
		s.board.note("%s, which is not used any more, goes with its namespace only: %v", old, err)
	}
	return nil
}

// dropDepot removes a depot. Its pod may be on a node that is gone, where nobody ends it.
func (s *session) dropDepot(ctx context.Context, name string) error {
	client, background := s.Cluster.Client, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
	err := s.call(ctx, func(ctx context.Context) error {
		return client.AppsV1().Deployments(s.namespace).Delete(ctx, name, background)
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete depot: %w", err)
	}
	err = s.call(ctx, func(ctx context.Context) error {
		return client.CoreV1().PersistentVolumeClaims(s.namespace).Delete(ctx, name, background)
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete volume claim: %w", err)
	}
	return nil
}
