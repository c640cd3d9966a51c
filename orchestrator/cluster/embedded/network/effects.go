package network

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// effects are the compiled packet effects of a link. They are never changed, only replaced.
type effects struct {
	in, out []rule
	classes []rule  // which class of the queue a packet goes to; the last that matches counts.
	queue   *device // nil when there is no queueing discipline.
}

// effectState is what the effects were compiled from.
type effectState struct {
	sets   map[string]IPSet
	chains []Chain
	qdiscs []Qdisc
}

// drops says whether the packet filter drops a packet. Loopback traffic does not pass it.
func (e *effects) drops(d Direction, f *flow) bool {
	rules, peer := e.in, f.src
	if d == Output {
		rules, peer = e.out, f.dst
	}
	for i := range rules {
		if rules[i].matches(peer, f) {
			return rules[i].drop
		}
	}
	return false
}

// class returns the index of the queue's class that the packet belongs to, or -1.
func (e *effects) class(f *flow) int {
	for i := len(e.classes) - 1; i >= 0; i-- {
		if e.classes[i].matches(f.dst, f) {
			return i
		}
	}
	return -1
}

// SetIPSets makes the sets, or replaces the content of those that exist; other sets stay as they are. Chains and queueing disciplines
// that name them follow at once. On an error nothing is changed.
func (p *Pod) SetIPSets(sets []IPSet) error {
	for _, s := range sets {
		if s.Type != HashNet && s.Type != HashNetPort && s.Type != ListSet {
			return fmt.Errorf("make IP set %s: unexpected type %q", s.Name, s.Type)
		}
	}
	return p.st.link.change(func(e *effectState) {
		e.sets = maps.Clone(e.sets)
		if e.sets == nil {
			e.sets = map[string]IPSet{}
		}
		for _, s := range sets {
			e.sets[s.Name] = s
		}
	})
}

// SetChains replaces all chains of the pod's packet filter. On an error nothing is changed.
func (p *Pod) SetChains(chains []Chain) error {
	return p.st.link.change(func(e *effectState) { e.chains = slices.Clone(chains) })
}

// SetQdiscs replaces the queueing disciplines on the pod's egress; packets that are queued are lost, as when tc deletes a qdisc.
// On an error nothing is changed.
//
// The tree is the one that Chaos Mesh's daemon makes: those without a filter are passed one after the other by every packet; then a packet
// that matches a filter passes those of the last filter that it matches.
func (p *Pod) SetQdiscs(qdiscs []Qdisc) error {
	return p.st.link.change(func(e *effectState) { e.qdiscs = slices.Clone(qdiscs) })
}

// change edits the state and puts what it means into force.
func (l *link) change(edit func(*effectState)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.state
	edit(&state)
	e, err := state.compile()
	if err != nil {
		return err
	}
	old := l.effects.Load()
	if old != nil && reflect.DeepEqual(l.state.qdiscs, state.qdiscs) {
		e.queue = old.queue
	} else if len(state.qdiscs) > 0 {
		e.queue = newDevice(l, state.qdiscs, l.leave)
	}
	l.state = state
	l.install(e)
	return nil
}

// install puts e into force, and returns when every byte from and to the pod is subject to it; nil means no effects.
func (l *link) install(e *effects) {
	if e != nil && e.queue == nil && len(e.in) == 0 && len(e.out) == 0 {
		e = nil
	}
	old := l.effects.Swap(e)
	if old == nil && e != nil {
		l.net.shortcuts.detach(l.addr)
	}
	if old != nil && old.queue != nil && (e == nil || e.queue != old.queue) {
		old.queue.close()
	}
}

func (s *effectState) compile() (*effects, error) {
	sets, err := compileSets(s.sets)
	if err != nil {
		return nil, err
	}
	e := &effects{}
	for _, c := range s.chains {
		r := rule{Match: c.Match, drop: c.Target == "DROP"}
		if !r.drop && c.Target != "ACCEPT" {
			return nil, fmt.Errorf("make chain %s: target %q is not supported", c.Name, c.Target)
		}
		if err := r.compile(sets, c.IPSets); err != nil {
			return nil, fmt.Errorf("make chain %s: %w", c.Name, err)
		}
		if c.Direction == Input {
			e.in = append(e.in, r)
		} else {
			e.out = append(e.out, r)
		}
	}
	for i := range s.qdiscs {
		if err := s.qdiscs[i].check(); err != nil {
			return nil, fmt.Errorf("add queueing discipline %d: %w", i, err)
		}
	}
	_, filters := grouped(s.qdiscs)
	for _, group := range filters {
		f := group[0].Filter
		r := rule{Match: f.Match}
		var names []string
		if f.IPSet != "" {
			names = []string{f.IPSet}
		}
		if err := r.compile(sets, names); err != nil {
			return nil, fmt.Errorf("add traffic filter: %w", err)
		}
		e.classes = append(e.classes, r)
	}
	return e, nil
}

func (r *rule) compile(sets map[string]*ipset, names []string) error {
	for _, name := range names {
		s, ok := sets[name]
		if !ok {
			return fmt.Errorf("set %s does not exist", name)
		}
		r.sets = append(r.sets, s)
	}
	return r.check()
}
