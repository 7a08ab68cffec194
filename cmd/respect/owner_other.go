//go:build !unix

package main

import "io/fs"

// ownerOf is not known here, so that an administrator's file never counts.
func ownerOf(fs.FileInfo) (uid int, known bool) { return 0, false }
