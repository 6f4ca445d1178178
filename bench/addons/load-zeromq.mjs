// Loads zeromq, and exits: for the start-up time.

import "zeromq";
