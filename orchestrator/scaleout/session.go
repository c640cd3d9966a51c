package scaleout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/random"
	"github.com/gameday-bench/gameday/internal/readiness"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/bundle"
	"github.com/gameday-bench/gameday/results"
)

// session is one namespace with one Job. It is used by one goroutine.
type session struct {
	*Executor
	board *board
	id    string
	// namespace is where everything of the session is; image is the reference of the harness.
	namespace, image string
	plan             Plan
	store            blob.Store
	// generation counts the depots, from 1; 0 with a bucket. token is the depot's.
	generation int
	token      string
	// follows is true once there is a Job, readable once the plan is in the store, or was read from there.
	follows, readable bool
	// current are the pods of the Job as they were last seen, pods what is known of these and of earlier ones.
	current []corev1.Pod
	pods    map[types.UID]*podState
	// leaving is since when pods of the namespace are on their way out.
	leaving map[types.UID]time.Time
	// stored are the names of the pods whose tries are in the store.
	stored map[string]bool
	// unfit is what a worker said that cannot play the plan.
	unfit string
	// idle, storeDown and apiDown are since when no worker runs, and since when store and API server are out of order; zero while all is well.
	idle, storeDown, apiDown time.Time
}

func (e *Executor) newSession(b *board, id, image string) *session {
	return &session{
		Executor: e, board: b, id: id, namespace: namespacePrefix + id, image: image,
		pods: map[types.UID]*podState{}, leaving: map[types.UID]time.Time{}, stored: map[string]bool{},
	}
}

// begin makes a session that plays the trials. After an error nothing of it is left, or the error says what.
func (e *Executor) begin(ctx context.Context, b *board, trials []orchestrator.Assignment) (*session, error) {
	image, err := e.Image(ctx)
	if err != nil {
		return nil, fmt.Errorf("provide image of the harness: %w", err)
	}
	s := e.newSession(b, random.Hex(4), image)
	s.plan = newPlan(b.work.Store.Run(), trials, len(e.Packs))
	if err := b.work.Store.Update(func(r *results.Run) {
		if r.Executor != nil {
			now := *r.Executor
			now.Image, now.Server = image, e.Cluster.Server
			r.Executor = &now
		}
	}); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(s.explain(err), s.end(ctx))
	}
	return s, nil
}

// explain blames a failure of the cluster on it, where nobody else is named.
func (s *session) explain(err error) error {
	if err == nil || errs.PartyOf(err) != "" {
		return err
	}
	return errs.With(errs.Infra, fmt.Errorf("play trials on %s: %w", s.Cluster.Context, err))
}

// prepare makes the namespace, the store with what the workers need, and the Job.
func (s *session) prepare(ctx context.Context) error {
	workers, err := s.parallelism(ctx, len(s.plan.Tasks))
	if err != nil {
		return err
	}
	client, made := s.Cluster.Client, metav1.CreateOptions{}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespaceOf(s.namespace, s.plan.Run.ID, s.id, s.image), made); err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	s.board.note("%s on %d workers of %s (%s), namespace %s", trials(len(s.plan.Tasks)), workers, s.Cluster.Context, s.Cluster.Server, s.namespace)
	if err := s.makeStore(ctx); err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	if len(s.Env) > 0 {
		data := map[string][]byte{}
		for name, value := range s.Env {
			data[name] = []byte(value)
		}
		if _, err := client.CoreV1().Secrets(s.namespace).Create(ctx, secret(agentsSecret, data), made); err != nil {
			return fmt.Errorf("create secret: %w", err)
		}
	}
	job := jobOf(jobSpec{
		image: s.image, trials: len(s.plan.Tasks), workers: workers, retries: s.plan.Run.InfraRetries, resources: s.Resources, env: s.Env,
	})
	if _, err := client.BatchV1().Jobs(s.namespace).Create(ctx, job, made); err != nil {
		return fmt.Errorf("create job: %w", err)
	}
	s.follows = true
	return nil
}

// makeStore makes the depot, unless there is a bucket, and tells the workers of it.
func (s *session) makeStore(ctx context.Context) error {
	own := s.Storage.of(s.plan.Run.ID, s.id)
	access := Access{Bucket: own}
	if own == nil {
		d, err := s.depotSecrets(ctx)
		if err != nil {
			return err
		}
		access.Depot = d
	}
	data, err := json.Marshal(access)
	if err != nil {
		return fmt.Errorf("encode access to the store: %w", err)
	}
	if _, err := s.Cluster.Client.CoreV1().Secrets(s.namespace).Create(ctx, secret(accessSecret, map[string][]byte{accessFile: data}), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create secret: %w", err)
	}
	if own != nil {
		s.store, err = openBucket(*own)
		return err
	}
	return s.newDepot(ctx)
}

// seed puts into the store what the workers need: the packs, the plan, and which of its trials are final already. The plan comes
// last: where it is, the rest is.
func (s *session) seed(ctx context.Context) error {
	put := func(key string, data []byte) error {
		return blob.Patiently(ctx, s.Clock, storePatience, func(ctx context.Context) error { return s.store.Put(ctx, key, data) })
	}
	for i, dir := range s.Packs {
		data, err := bundle.Pack(dir)
		if err != nil {
			return errs.With(errs.Usage, err)
		}
		if err := put(packKey(i), data); err != nil {
			return err
		}
	}
	for index, task := range s.plan.Tasks {
		if s.board.final(task.Key) {
			if err := put(doneKey(index), nil); err != nil {
				return err
			}
		}
	}
	data, err := json.Marshal(s.plan)
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	if err := put(planKey, data); err != nil {
		return err
	}
	s.readable = true
	return nil
}

// play follows the Job, where there is one, to its end and removes the session.
func (s *session) play(ctx context.Context) error {
	var err error
	if s.follows {
		err = s.explain(s.follow(ctx))
	}
	return errors.Join(interruption(ctx, err), s.end(ctx))
}

// parallelism is the number of workers: as many as asked for, or one for each node that takes pods, and never more than trials.
func (s *session) parallelism(ctx context.Context, trials int) (int, error) {
	if s.Workers > 0 {
		return min(s.Workers, trials), nil
	}
	nodes, err := s.Cluster.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, errs.Hint(fmt.Errorf("count nodes: %w", err), "say how many pods there may be at a time: --workers N")
	}
	count := 0
	for _, node := range nodes.Items {
		if takesPods(node) {
			count++
		}
	}
	if count == 0 {
		return 0, errs.Hint(errs.Newf(errs.Infra, "count nodes of %s: none is ready and takes pods", s.Cluster.Context), "see kubectl --context %s get nodes", s.Cluster.Context)
	}
	return min(count, trials), nil
}

// takesPods reports whether a pod without tolerations can be bound to the node, and run there.
func takesPods(node corev1.Node) bool {
	if node.Spec.Unschedulable || node.Labels[corev1.LabelArchStable] != "" && node.Labels[corev1.LabelArchStable] != arch() {
		return false
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule {
			return false
		}
	}
	return readiness.Node(&node)
}

// volumeSize has room for the tries of all trials: some megabytes each, with logs of all parts of the cluster.
func volumeSize(trials int) resource.Quantity {
	return *resource.NewQuantity(1<<30+int64(trials)*(16<<20), resource.BinarySI)
}

func trials(n int) string {
	if n == 1 {
		return "1 trial"
	}
	return strconv.Itoa(n) + " trials"
}
