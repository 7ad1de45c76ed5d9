// An image registry with passwords, which keeps its images in a folder. `registry account NAME PASSWORD` prints a line of
// its file of accounts.
package main

import (
	"fmt"
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"golang.org/x/crypto/bcrypt"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 3 || arguments[0] != "account" {
		return registry.RootCmd.Execute()
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(arguments[2]), bcrypt.MinCost)
	if err == nil {
		fmt.Printf("%s:%s\n", arguments[1], hash)
	}
	return err
}
