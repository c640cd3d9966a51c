package scaleout

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/random"
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
	// follows is true once there may be a Job, readable once the plan is in the store, or was read from there. unread is true where a
	// plan is in the store that nobody can read.
	follows, readable, unread bool
	// ending is true once the session is being stopped: what is gathered from then on is not played again by its Job.
	ending bool
	// current are the pods of the Job as they were last seen, pods what is known of these and of earlier ones.
	current []corev1.Pod
	pods    map[types.UID]*podState
	// leaving is since when pods of the namespace are on their way out.
	leaving map[types.UID]time.Time
	// unpulled is since when the images of pods are seen to be missing.
	unpulled map[types.UID]time.Time
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
		pods: map[types.UID]*podState{}, leaving: map[types.UID]time.Time{}, unpulled: map[types.UID]time.Time{}, stored: map[string]bool{},
	}
}

// begin makes a session that plays the trials. After an error nothing of it is left, or the board has what.
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
		b.left = append(b.left, s.end(ctx))
		return nil, s.explain(err)
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
	if err := s.makeNamespace(ctx); err != nil {
		return err
	}
	s.board.note("%s on %d workers of %s (%s), namespace %s", trials(len(s.plan.Tasks)), workers, s.Cluster.Context, s.Cluster.Server, s.namespace)
	if err := s.makeStore(ctx); err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	// It is there with nothing in it, too: where it is not, there never was a Job. See open.
	data := map[string][]byte{}
	for name, value := range s.Env {
		data[name] = []byte(value)
	}
	if err := s.makeSecret(ctx, agentsSecret, data); err != nil {
		return err
	}
	job := jobOf(jobSpec{
		image: s.image, trials: len(s.plan.Tasks), workers: workers, retries: s.plan.Run.InfraRetries, resources: s.Resources, env: s.Env,
	})
	s.follows = true // From now on: the answer may be lost.
	if err := ensure(ctx, s.Executor, s.Cluster.Client.BatchV1().Jobs(s.namespace).Create, job); err != nil {
		return fmt.Errorf("create job: %w", err)
	}
	return nil
}

// makeNamespace makes the namespace. One that is there before it was asked for is somebody else's.
func (s *session) makeNamespace(ctx context.Context) error {
	asked := false
	err := s.call(ctx, func(ctx context.Context) error {
		_, err := s.Cluster.Client.CoreV1().Namespaces().Create(ctx, namespaceOf(s.namespace, s.plan.Run.ID, s.id, s.image), metav1.CreateOptions{})
		if asked && apierrors.IsAlreadyExists(err) {
			return nil
		}
		asked = true
		return err
	})
	if err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	return nil
}

func (s *session) makeSecret(ctx context.Context, name string, data map[string][]byte) error {
	if err := ensure(ctx, s.Executor, s.Cluster.Client.CoreV1().Secrets(s.namespace).Create, secret(name, data)); err != nil {
		return fmt.Errorf("create secret: %w", err)
	}
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
	if err := s.makeSecret(ctx, accessSecret, map[string][]byte{accessFile: data}); err != nil {
		return err
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
		// A depot is behind the API server, so this has the longer patience of the two.
		return blob.Patiently(ctx, s.Clock, patience, func(ctx context.Context) error { return s.store.Put(ctx, key, data) })
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

// play follows the Job, where there is one, to its end and removes the session. What cannot be removed or gathered is for the board to
// have: it is no reason not to go on.
func (s *session) play(ctx context.Context) error {
	var err error
	if s.follows && s.readable {
		err = s.explain(s.follow(ctx))
	}
	if err != nil {
		err = interruption(ctx, err)
	}
	s.board.left = append(s.board.left, s.end(ctx))
	return err
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
