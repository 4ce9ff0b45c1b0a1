package python

import "errors"

// canPark says whether a process can be stopped and continued here.
const canPark = false

func stopProcess(int) error     { return errors.ErrUnsupported }
func continueProcess(int) error { return errors.ErrUnsupported }
