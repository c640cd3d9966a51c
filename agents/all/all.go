// Package all registers the agents that come with Gameday. Each has a file of its own here, so that adding one edits no list.
package all
