"""What is no longer needed: dead containers, old sandboxes, unused images, orphans."""
