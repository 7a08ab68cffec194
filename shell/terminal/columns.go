package terminal

import (
	"os"

	"golang.org/x/term"
)

// Columns is the width of the terminal that a file is; 80 if it does not tell.
func Columns(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil || w <= 0 {
		return 80
	}
	return w
}
