// Command respect is a guarded interactive shell for MongoDB.
package main

import "os"

func main() { os.Exit(start()) }
