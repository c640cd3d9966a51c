// Package storage holds the tests of persistent storage on a whole embedded cluster. There is nothing in it but tests.
package storage
