// Package types registers the types of faults. A program that loads a catalogue of faults imports it for that effect:
//
//	import _ "github.com/gameday-bench/gameday/faults/types"
//
// Each type has a file of its own, so that adding one touches no other.
package types
