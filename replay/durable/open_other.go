//go:build !unix

package durable

// plainOnly has no counterpart here: Open looks at the name before it opens.
const plainOnly = 0
