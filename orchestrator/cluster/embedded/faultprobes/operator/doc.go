// Package operator tests that faults of an operator, and of what it is told, show to the users of an application that it keeps a cache for.
package operator
