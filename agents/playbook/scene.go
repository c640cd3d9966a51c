package playbook

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/agents"
)

// scene is what the playbook knows of the system.
type scene struct {
	brief agents.Brief
	cloud agents.Cloud

	alerts      []alert
	nodes       [][]string // name, unschedulable, ready
	deployments []deployment
	services    [][]string // name, selector value, target port, port, target port's name
	pods        []pod
	signals     []sample
	sets        [][]string // owner, revision, image, limit of CPU, limit of memory; read when a rule asks
	// traced are the edges of the last graph from traces; edges are these and what metrics know of them.
	traced, edges []edge
	// steps is how many calls it has made.
	steps int
}

type alert struct {
	Name   string            `json:"name"`
	Since  time.Time         `json:"since"`
	Labels map[string]string `json:"labels"`
}

type deployment struct {
	name            string
	replicas, ready int
	revision        int
	component       string
	ports           []string
	portNames       []string
}

type pod struct {
	name, app, node, phase, reason string
}

// nameLabel is the label by which the parts of an application are told apart.
const nameLabel = `app\.kubernetes\.io/name`

// load reads symptoms, then the state of the cluster and the traffic. Without a symptom it reads on only in the first
// look, and to confirm what the last one found: what is declared was declared before. What cannot be read stays empty: the rules
// that need it find nothing.
func (s *scene) load(ctx context.Context, confirm bool) (err error) {
	first := s.steps == 0
	if err := s.loadAlerts(ctx); err != nil {
		return err
	}
	if s.signals, err = s.ask(ctx, signals()); err != nil {
		return err
	}
	s.edges, s.sets = nil, nil
	steps := []func(context.Context) error{s.loadNodes, s.loadDeployments, s.loadPods}
	if first {
		steps = append(steps, s.loadServices)
	}
	if s.symptoms() {
		steps = append(steps, s.loadTraffic)
	} else if !first && !confirm {
		steps = nil
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// do calls a tool and counts it.
func (s *scene) do(ctx context.Context, tool string, args map[string]any) (agents.Result, error) {
	s.steps++
	return agents.Do(ctx, s.cloud, tool, args)
}

// affords is true when that many steps are left.
func (s *scene) affords(steps int) bool {
	return s.brief.Budget.Steps == 0 || s.steps+steps <= s.brief.Budget.Steps
}

func (s *scene) call(ctx context.Context, tool string, args map[string]any, into any) error {
	result, err := s.do(ctx, tool, args)
	if err != nil || result.IsError {
		return err
	}
	// A truncated or unexpected answer is as good as none.
	_ = json.Unmarshal([]byte(result.Output), into)
	return nil
}

func (s *scene) loadAlerts(ctx context.Context) error {
	s.alerts = nil
	var all []alert
	if err := s.call(ctx, "get_alerts", map[string]any{}, &all); err != nil {
		return err
	}
	for _, a := range all {
		if ns := a.Labels["namespace"]; (ns == "" || ns == s.brief.Namespace) && a.Labels["severity"] != "info" {
			s.alerts = append(s.alerts, a)
		}
	}
	return nil
}

// table runs kubectl get with columns and returns the rows.
func (s *scene) table(ctx context.Context, resource string, columns ...string) ([][]string, error) {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("C" + strconv.Itoa(i) + ":" + c)
	}
	args := map[string]any{"command": "get " + resource + " --no-headers -o 'custom-columns=" + b.String() + "'"}
	result, err := s.do(ctx, "kubectl", args)
	if err != nil || result.IsError {
		return nil, err
	}
	var rows [][]string
	for line := range strings.Lines(result.Output) {
		if fields := strings.Fields(line); len(fields) == len(columns) {
			rows = append(rows, fields)
		}
	}
	return rows, nil
}

func (s *scene) loadNodes(ctx context.Context) (err error) {
	s.nodes, err = s.table(ctx, "nodes", ".metadata.name", ".spec.unschedulable", `.status.conditions[?(@.type=="Ready")].status`)
	return err
}

func (s *scene) loadDeployments(ctx context.Context) error {
	s.deployments = nil
	rows, err := s.table(ctx, "deployments", ".metadata.name", ".spec.replicas", ".status.readyReplicas",
		`.metadata.annotations.deployment\.kubernetes\.io/revision`, `.metadata.labels.app\.kubernetes\.io/component`,
		".spec.template.spec.containers[*].ports[*].containerPort", ".spec.template.spec.containers[*].ports[*].name")
	for _, r := range rows {
		s.deployments = append(s.deployments, deployment{
			name: r[0], replicas: number(r[1]), ready: number(r[2]), revision: number(r[3]), component: r[4],
			ports: strings.Split(r[5], ","), portNames: strings.Split(r[6], ","),
		})
	}
	return err
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0 // <none>
	}
	return n
}

func (s *scene) loadServices(ctx context.Context) (err error) {
	s.services, err = s.table(ctx, "services", ".metadata.name", ".spec.selector."+nameLabel, ".spec.ports[0].targetPort", ".spec.ports[0].port", ".spec.ports[0].name")
	return err
}

func (s *scene) loadPods(ctx context.Context) error {
	s.pods = nil
	rows, err := s.table(ctx, "pods", ".metadata.name", ".metadata.labels."+nameLabel, ".spec.nodeName", ".status.phase",
		".status.containerStatuses[*].state.waiting.reason")
	for _, r := range rows {
		s.pods = append(s.pods, pod{r[0], r[1], r[2], r[3], r[4]})
	}
	return err
}

// component names an object of the application; nodes have no namespace.
func (s *scene) component(kind, name string) agents.Component {
	c := agents.Component{Kind: kind, Name: name, Namespace: s.brief.Namespace}
	if kind == "Node" {
		c.Namespace = ""
	}
	return c
}

func (s *scene) deployment(name string) (deployment, bool) {
	i := slices.IndexFunc(s.deployments, func(d deployment) bool { return d.name == name })
	if i < 0 {
		return deployment{}, false
	}
	return s.deployments[i], true
}

// app is the Deployment of a pod.
func (s *scene) app(name string) string {
	if i := slices.IndexFunc(s.pods, func(p pod) bool { return p.name == name }); i >= 0 {
		return s.pods[i].app
	}
	return ""
}

// suspects are the services that alerts and signals are about, the innermost first: one whose own calls fail or are slow is
// blamed behind the one it calls.
func (s *scene) suspects() []string {
	var out []string
	suspect := func(name string) {
		if _, ok := s.deployment(name); ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, a := range s.alerts {
		suspect(a.Labels["service"])
		suspect(a.Labels["deployment"])
		suspect(s.app(a.Labels["pod"]))
	}
	for _, m := range s.signals {
		if m.signal != throttledCPU {
			suspect(m.service())
			suspect(s.app(m.labels["pod"]))
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return s.depth(b, 0) - s.depth(a, 0) })
	return out
}

// alerting is true when an alert whose name contains one of the words is about the service.
func (s *scene) alerting(service string, words ...string) bool {
	for _, a := range s.alerts {
		if a.Labels["service"] != service {
			continue
		}
		for _, w := range words {
			if strings.Contains(a.Name, w) {
				return true
			}
		}
	}
	return false
}
