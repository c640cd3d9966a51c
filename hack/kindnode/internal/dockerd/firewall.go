package dockerd

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/debian"
)

// firewalls are the commands that print the rules for IPv4 and IPv6, and those that read them.
var firewalls = map[string]string{"iptables-save": "iptables-restore", "ip6tables-save": "ip6tables-restore"}

// readFirewall returns the machine's rules, by the command that prints them. A machine without IPv6 has none for it.
func readFirewall(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	for save := range firewalls {
		program, err := debian.Look(save)
		if err != nil {
			continue // Then nobody changes them.
		}
		rules, err := command.Run(ctx, command.Cmd{Name: program})
		if err != nil && save == "ip6tables-save" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read rules of the firewall: %w", err)
		}
		out[save] = string(rules)
	}
	return out, nil
}

// restoreFirewall takes out the rules and chains that came since before was read, as far as they are ours. Rules that somebody else added
// meanwhile stay.
func restoreFirewall(ctx context.Context, before map[string]string, ours func(rule string) bool) error {
	after, err := readFirewall(ctx)
	if err != nil {
		return err
	}
	for save, rules := range after {
		changes := undo(before[save], rules, ours)
		if changes == "" {
			continue
		}
		program, err := debian.Look(firewalls[save])
		if err != nil {
			return fmt.Errorf("restore rules of the firewall: %w", err)
		}
		if _, err := command.Run(ctx, command.Cmd{Name: program, Args: []string{"--noflush"}, Stdin: strings.NewReader(changes)}); err != nil {
			return fmt.Errorf("restore rules of the firewall: %w", err)
		}
	}
	return nil
}

// ours says whether a rule is one of the daemon's: it names one of its chains or bridges, or an address of its networks.
func (d *Daemon) ours(rule string) bool {
	for _, word := range strings.Fields(rule) {
		if strings.HasPrefix(word, dockerChains) || word == d.Bridge || strings.HasPrefix(word, networkBridges) {
			return true
		}
		prefix, err := netip.ParsePrefix(word)
		if err != nil {
			address, err := netip.ParseAddr(word)
			if err != nil {
				continue
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		if d.Pool.Overlaps(prefix) && prefix.Bits() >= d.Pool.Bits() || d.Address.Overlaps(prefix) && prefix.Bits() >= d.Address.Bits() {
			return true
		}
	}
	return false
}

// dockerChains is how the names of Docker's chains begin.
const dockerChains = "DOCKER"

// table is one table of rules, as iptables-save prints it.
type table struct {
	name string
	// chains are their policies; user-defined ones have "-".
	chains map[string]string
	order  []string
	rules  []string
}

// tables reads what iptables-save printed.
func tables(text string) []table {
	var out []table
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			out = append(out, table{name: line[1:], chains: map[string]string{}})
		case len(out) == 0:
			// A comment before the first table.
		case strings.HasPrefix(line, ":"):
			t := &out[len(out)-1]
			if fields := strings.Fields(line[1:]); len(fields) > 1 {
				t.chains[fields[0]] = fields[1]
				t.order = append(t.order, fields[0])
			}
		case strings.HasPrefix(line, "-A "):
			t := &out[len(out)-1]
			t.rules = append(t.rules, line)
		}
	}
	return out
}

// undo is the input of iptables-restore --noflush that takes what is ours and new in after out again; empty where nothing is.
func undo(before, after string, ours func(rule string) bool) string {
	old := map[string]table{}
	for _, t := range tables(before) {
		old[t.name] = t
	}
	var out strings.Builder
	for _, t := range tables(after) {
		if changes := undoTable(old[t.name], t, ours); len(changes) > 0 {
			fmt.Fprintf(&out, "*%s\n%s\nCOMMIT\n", t.name, strings.Join(changes, "\n"))
		}
	}
	return out.String()
}

func undoTable(old, now table, ours func(rule string) bool) []string {
	var chains, changes []string
	for _, name := range now.order {
		policy, existed := old.chains[name]
		switch {
		case existed && policy != now.chains[name]:
			// dockerd drops what is forwarded, and leaves it so.
			changes = append(changes, ":"+name+" "+policy+" [0:0]")
		case !existed && strings.HasPrefix(name, dockerChains):
			chains = append(chains, name)
		}
	}
	for _, rule := range now.rules {
		chain := strings.Fields(rule)[1]
		if ours(rule) && !slices.Contains(old.rules, rule) && !slices.Contains(chains, chain) {
			changes = append(changes, "-D "+strings.TrimPrefix(rule, "-A "))
		}
	}
	// Chains are emptied before they are removed: they refer to one another.
	for _, name := range chains {
		changes = append(changes, "-F "+name)
	}
	for _, name := range chains {
		changes = append(changes, "-X "+name)
	}
	return changes
}
