package shell

import "slices"

// Names are all the names under which a container answers on a system that finds commands as files, sorted: the shells, the
// tools, and those of the shell's built-ins that are files elsewhere, too. What an image brings comes on top.
func Names() []string {
	out := slices.Concat(shells, Commands(), []string{"[", "echo", "false", "printf", "pwd", "test", "true"})
	slices.Sort(out)
	return slices.Compact(out)
}
